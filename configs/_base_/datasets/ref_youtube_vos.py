# Ref-YouTube-VOS as in ReferFormer (datasets/ytvos.py, datasets/transforms_video.py): several sizes in training, T
# frames around a key frame. The paper (4.2) only says "6 randomly sampled frames", short side 360, long side at most
# 640. Resized with PIL as in the reference code, whose bilinear resize is antialiased. mmengine evaluates a file before
# the files that inherit it: changing a variable below in another config does not change what is built from it here.
dataset_type = 'RefYouTubeVOSDataset'
data_root = 'data/ref_youtube_vos/'
num_frames = 6  # T in training, paper 4.2 (ReferFormer: 5)

short_sides = [288, 320, 352, 392, 416, 448, 480, 512]
# (long, short): the short side is resized to `short`, but the long side is at most `long`; None: no limit.
scales = [(640, side) for side in short_sides]
resize = dict(type='RandomChoiceResize', scales=scales, resize_type='ReferenceResize')
resize_crop_resize = [
    dict(type='RandomChoiceResize', scales=[(None, 400), (None, 500), (None, 600)], resize_type='ReferenceResize'),
    # A crop may miss the object in some frames, which then count as absent. RequireVisibleObject drops clips without
    # it.
    dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True),
    resize,
]

train_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='reference'),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadRVOSMasks'),
            dict(type='RandomFlip', prob=0.5),
        ],
    ),
    dict(type='FlipExpression'),
    # Colour distortion is drawn per frame, including the channel swap, as in the reference code.
    dict(type='TransformBroadcaster', transforms=[dict(type='PhotoMetricDistortionUint8')]),
    # RandomChoice must be outside the broadcasters: mmcv raises inside one that shares its random parameters.
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
# Masks, if any, are loaded after the resize, so they keep their original size.
test_pipeline = [
    dict(type='RVOSClipSample', mode='all'),
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='ReferenceResize', scale=(640, 360)),
            dict(type='LoadRVOSMasks'),
        ],
    ),
    dict(type='PackRVOSInputs'),
]

train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='train',
        records='key_frame',
        key_frame_interval=num_frames,  # every T-th frame is a key frame, as in the reference code
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='valid',
        verbatim=True,  # as in the reference code when testing on whole videos
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='RVOSMetric')
test_evaluator = val_evaluator
