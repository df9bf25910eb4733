# RefCOCO, RefCOCO+ and RefCOCOg together, as in ReferFormer's pre-training (datasets/refexp.py): T=1.
dataset_type = 'RefCOCOClipDataset'
data_root = 'data/coco/'

load_frame = [dict(type='LoadImageFromFile'), dict(type='LoadRVOSMasks', reader='coco')]
# (long, short); None: no limit.
resize = dict(
    type='RandomChoiceResize', scales=[(800, side) for side in range(480, 769, 32)], resize_type='ReferenceResize'
)
resize_crop_resize = [
    dict(type='RandomChoiceResize', scales=[(None, 400), (None, 500), (None, 600)], resize_type='ReferenceResize'),
    dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True),
    dict(
        type='RandomChoiceResize',
        scales=[(640, side) for side in (296, 328, 360, 392, 416, 448, 480, 512)],
        resize_type='ReferenceResize',
    ),
]
flip = [
    dict(type='TransformBroadcaster', share_random_params=True, transforms=[dict(type='RandomFlip', prob=0.5)]),
    dict(type='FlipExpression'),
]
# RandomChoice must be outside the broadcasters: mmcv raises inside one that shares its random parameters.
resize_or_crop = [
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='TransformBroadcaster', share_random_params=True, transforms=[resize])],
            [dict(type='TransformBroadcaster', share_random_params=True, transforms=resize_crop_resize)],
        ],
    ),
    dict(type='RequireVisibleObject'),
    dict(type='PackRVOSInputs'),
]

sample_and_load = [
    dict(type='RVOSClipSample', mode='all'),
    dict(type='TransformBroadcaster', transforms=load_frame),
]
train_pipeline = [*sample_and_load, *flip, *resize_or_crop]
test_pipeline = [
    dict(type='RVOSClipSample', mode='all'),
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='ReferenceResize', scale=(640, 360)),
            dict(type='LoadRVOSMasks', reader='coco'),
        ],
    ),
    dict(type='PackRVOSInputs'),
]

train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(type=dataset_type, data_root=data_root, name=name, split='train', pipeline=train_pipeline)
            for name in ('refcoco', 'refcoco+', 'refcocog')
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(type=dataset_type, data_root=data_root, name='refcoco', split='val', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='RefCOCOMetric')
test_evaluator = val_evaluator
