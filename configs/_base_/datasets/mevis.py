# MeViS: the pipelines of Ref-YouTube-VOS, with masks from mask_dict.json. valid_u has public masks, valid has none.
_base_ = './ref_youtube_vos.py'

dataset_type = 'MeViSDataset'
data_root = 'data/mevis/'
load_masks = dict(type='LoadRVOSMasks', reader='coco')

train_pipeline = [
    _base_.train_pipeline[0],
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[dict(type='LoadImageFromFile'), load_masks, dict(type='RandomFlip', prob=0.5)],
    ),
    *_base_.train_pipeline[2:],
]
test_pipeline = [
    _base_.test_pipeline[0],
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='ReferenceResize', scale=(640, 360)),
            load_masks,
        ],
    ),
    _base_.test_pipeline[-1],
]

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, split='valid_u', verbatim=False, pipeline=test_pipeline)
)
test_dataloader = val_dataloader
