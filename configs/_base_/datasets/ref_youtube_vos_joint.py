# Ref-YouTube-VOS and RefCOCO/+/g together, as in ReferFormer's datasets/concat_dataset.py: random affine motion turns
# an image into a clip of T frames, which is then processed like a video.
_base_ = './ref_youtube_vos.py'

refcoco_root = 'data/coco/'
pseudo_video_pipeline = [
    dict(type='RVOSClipSample', mode='all'),
    dict(
        type='TransformBroadcaster',
        transforms=[dict(type='LoadImageFromFile'), dict(type='LoadRVOSMasks', reader='coco')],
    ),
    dict(type='PseudoVideo', num_frames=_base_.num_frames),
    dict(type='TransformBroadcaster', share_random_params=True, transforms=[dict(type='RandomFlip', prob=0.5)]),
    *_base_.train_pipeline[2:],
]

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            *(
                dict(
                    type='RefCOCOClipDataset',
                    data_root=refcoco_root,
                    name=name,
                    split='train',
                    pipeline=pseudo_video_pipeline,
                )
                for name in ('refcoco', 'refcoco+', 'refcocog')
            ),
            _base_.train_dataloader.dataset,
        ],
    )
)
