# SynthRVOS, all kinds of expressions: training on clips of T frames, evaluation on whole videos. mmengine evaluates a
# file before the files that inherit it: changing a variable below in another config does not change what is built from
# it here.
dataset_type = 'SynthRVOSDataset'
data_root = 'data/synth_rvos/'
img_scale = (96, 64)  # network input (W,H); the frames are 288x192
num_frames = 5  # T in training

# share_random_params: all frames of a clip get the same flip and colours.
train_frame_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadRVOSMasks'),
    dict(type='ResizeByArea', scale=img_scale),
    dict(type='RandomFlip', prob=0.5),
    # Mild, because sentences mention colours and sizes: no channel swap, hue within 6 of 360 degrees.
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
# Masks are loaded after the resize, so they keep their original size, at which J and F are measured.
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
    records='expression',  # one record per expression, with a random key frame
    pipeline=train_pipeline,
)
# How often each kind is repeated. Kinds that need several frames have fewer expressions and are learnt late: `motion`
# makes up almost two fifths of the clips, `coherence` one fifth. `direction` and `order` cannot be learnt without
# temporal positions, see r18_synth_temporal.py.
repeats = dict(motion=6, coherence=3, direction=1, order=1)
single_frame_kinds = ['attr', 'spatial', 'relation']
train_dataloader = dict(
    batch_size=6,  # pairs: two expressions of a clip, see PairedExpressions
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
# Combinations of colour, shape and size never seen in training; reported as kinds of their own, such as 'attr_comp'.
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
# `absent` sentences fit no object: J and F are not defined for them, but their score should be low.
val_evaluator = [
    dict(type='RVOSMetric', group_by='kind', leave_out=['absent']),
    dict(type='AbsenceMetric', group_by='kind'),
]
test_evaluator = val_evaluator
