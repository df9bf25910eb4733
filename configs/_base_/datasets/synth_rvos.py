# SynthRVOS, all kinds of expressions: clips of T frames to train, whole videos to evaluate.
# A config that inherits this file and changes one of the names below must also redo what is built from it: mmengine
# evaluates a file before the files that inherit it.
dataset_type = 'SynthRVOSDataset'
data_root = 'data/synth_rvos/'
img_scale = (96, 64)  # network input (W,H); the pictures are 288x192
num_frames = 5  # T in training

# All frames of a clip share their random draws (flip, colours): a broadcaster with share_random_params.
train_frame_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadRVOSMasks'),
    dict(type='ResizeByArea', scale=img_scale),
    dict(type='RandomFlip', prob=0.5),
    # Mild, because sentences name colours and sizes: no channel swap, hue within 6 of 360 degrees.
    dict(
        type='PhotoMetricDistortionUint8',
        brightness_delta=16,
        contrast_range=(0.8, 1.2),
        saturation_range=(0.8, 1.2),
        hue_delta=6,
        swap_channels=False,
    ),
]
train_clip_pipeline = [
    dict(type='TransformBroadcaster', share_random_params=True, transforms=train_frame_pipeline),
    dict(type='FlipExpression'),
    dict(type='RequireVisibleObject'),
    dict(type='PackRVOSInputs'),
]
train_pipeline = [dict(type='RVOSClipSample', num_frames=num_frames, mode='stratified'), *train_clip_pipeline]
# The masks are loaded after the resize: they stay at the original size, where J and F are measured.
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

train_dataset = dict(
    type=dataset_type,
    data_root=data_root,
    split='train',
    records='expression',  # one record an expression, its key frame drawn at random
    pipeline=train_pipeline,
)
# How often the expressions of a kind come. What takes several frames has fewer of them, and is learnt late: `motion`
# makes almost two fifths of the clips, `coherence` one. `direction` and `order` are out of reach without temporal
# positions, see r18_synth_temporal.py.
repeats = dict(motion=6, coherence=3, direction=1, order=1)
single_frame_kinds = ['attr', 'spatial', 'relation']
train_dataloader = dict(
    batch_size=6,  # pairs: two expressions about a clip, see PairedExpressions
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='pair_collate'),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(type='PairedExpressions', dataset=dict(train_dataset, kinds=single_frame_kinds)),
            *[
                dict(
                    type='RepeatDataset',
                    times=times,
                    dataset=dict(type='PairedExpressions', dataset=dict(train_dataset, kinds=[kind])),
                )
                for kind, times in repeats.items()
            ],
        ],
    ),
)
val_dataset = dict(type=dataset_type, data_root=data_root, split='valid', test_mode=True, pipeline=test_pipeline)
# Appearances (colour, shape, size) never seen in training; its kinds are reported apart, as 'attr_comp'.
comp_dataset = dict(
    type=dataset_type, data_root=data_root, split='comp', kind_suffix='_comp', test_mode=True, pipeline=test_pipeline
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=val_dataset,
)
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(type='ConcatDataset', datasets=[val_dataset, comp_dataset]),
)
# Sentences of kind `absent` fit nothing: no mask of theirs can be right, but their score should be low.
val_evaluator = [
    dict(type='RVOSMetric', group_by='kind', leave_out=['absent']),
    dict(type='AbsenceMetric', group_by='kind'),
]
test_evaluator = val_evaluator
