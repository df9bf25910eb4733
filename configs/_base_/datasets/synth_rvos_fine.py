# SynthRVOS at 144x96, with sentences that fit no object and stronger augmentation.
_base_ = './synth_rvos.py'

img_scale = (144, 96)  # network input (W,H)
num_frames = 4  # T in training

train_frame_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadRVOSMasks'),
    dict(type='ResizeByArea', scale=img_scale),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomZoom', prob=0.3),
    dict(type='RandomTexture', prob=0.3),
    _base_.train_frame_pipeline[-1],  # colours
]
train_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='stratified'),
    dict(type='TransformBroadcaster', share_random_params=True, transforms=train_frame_pipeline),
    dict(type='FlipExpression'),
    dict(type='RequireVisibleObject'),
    dict(type='PackRVOSInputs'),
]
test_pipeline = [
    dict(type='RVOSClipSample', mode='all'),
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='ResizeByArea', scale=img_scale),
            dict(type='LoadRVOSMasks'),
        ],
    ),
    dict(type='PackRVOSInputs'),
]
train_dataset = dict(_base_.train_dataset, pipeline=train_pipeline)
# How often each kind is repeated per epoch. `absent` is paired with `attr`: one sentence of each pair fits an object of
# the same frames.
repeats = dict(absent=1, spatial=1, relation=3, motion=4, coherence=2, direction=3, order=3)
train_dataloader = dict(
    batch_size=4,  # pairs
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='RepeatDataset',
                times=times,
                dataset=dict(
                    type='PairedExpressions',
                    dataset=dict(train_dataset, kinds=['absent', 'attr'] if kind == 'absent' else [kind]),
                ),
            )
            for kind, times in repeats.items()
        ],
    ),
)
val_dataset = dict(_base_.val_dataset, pipeline=test_pipeline)
comp_dataset = dict(_base_.comp_dataset, pipeline=test_pipeline)
val_dataloader = dict(dataset=dict(_delete_=True, **val_dataset))
test_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[val_dataset, comp_dataset]))
