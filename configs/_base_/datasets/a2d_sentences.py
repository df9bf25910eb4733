# A2D-Sentences as in ReferFormer (datasets/a2d.py): one annotated frame per sample, which is the key frame; frames from
# .mp4 files, masks from .h5 files, augmentation as for Ref-YouTube-VOS.
_base_ = './ref_youtube_vos.py'

dataset_type = 'A2DSentencesDataset'
data_root = 'data/a2d_sentences/'
num_frames = 5  # T in training and testing; ReferFormer's default
load_masks = dict(type='LoadRVOSMasks', reader='a2d_h5')

train_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='reference'),
    dict(type='LoadVideoFrames'),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[load_masks, dict(type='RandomFlip', prob=0.5)],
    ),
    *_base_.train_pipeline[2:],
]
test_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='window'),
    dict(type='LoadVideoFrames'),
    dict(
        type='TransformBroadcaster',
        transforms=[dict(type='ReferenceResize', scale=(640, 360)), load_masks],
    ),
    dict(type='PackRVOSInputs'),
]

train_dataloader = dict(
    dataset=dict(_delete_=True, type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline)
)
val_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, split='test', verbatim=False, pipeline=test_pipeline)
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='A2DMetric')
test_evaluator = val_evaluator
