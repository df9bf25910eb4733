attention = dict(dropout=0.0, embed_dims=64, num_heads=4)
channels = 64
coherence = dict(
    dataset=dict(
        dataset=dict(
            data_root='data/synth_rvos/',
            kinds=[
                'coherence',
            ],
            pipeline=[
                dict(mode='stratified', num_frames=5, type='RVOSClipSample'),
                dict(
                    share_random_params=True,
                    transforms=[
                        dict(type='LoadImageFromFile'),
                        dict(type='LoadRVOSMasks'),
                        dict(scale=(
                            96,
                            64,
                        ), type='ResizeByArea'),
                        dict(prob=0.5, type='RandomFlip'),
                        dict(
                            brightness_delta=16,
                            contrast_range=(
                                0.8,
                                1.2,
                            ),
                            hue_delta=6,
                            saturation_range=(
                                0.8,
                                1.2,
                            ),
                            swap_channels=False,
                            type='PhotoMetricDistortionUint8'),
                    ],
                    type='TransformBroadcaster'),
                dict(type='FlipExpression'),
                dict(type='RequireVisibleObject'),
                dict(type='PackRVOSInputs'),
            ],
            records='expression',
            split='train',
            type='SynthRVOSDataset'),
        type='PairedExpressions'),
    times=3,
    type='RepeatDataset')
comp = dict(
    data_root='data/synth_rvos/',
    kind_suffix='_comp',
    pipeline=[
        dict(mode='all', type='RVOSClipSample'),
        dict(
            transforms=[
                dict(type='LoadImageFromFile'),
                dict(scale=(
                    96,
                    64,
                ), type='ResizeByArea'),
                dict(type='LoadRVOSMasks'),
            ],
            type='TransformBroadcaster'),
        dict(type='PackRVOSInputs'),
    ],
    split='comp',
    test_mode=True,
    type='SynthRVOSDataset')
comp_dataset = dict(
    data_root='data/synth_rvos/',
    kind_suffix='_comp',
    pipeline=[
        dict(mode='all', type='RVOSClipSample'),
        dict(
            transforms=[
                dict(type='LoadImageFromFile'),
                dict(scale=(
                    96,
                    64,
                ), type='ResizeByArea'),
                dict(type='LoadRVOSMasks'),
            ],
            type='TransformBroadcaster'),
        dict(type='PackRVOSInputs'),
    ],
    split='comp',
    test_mode=True,
    type='SynthRVOSDataset')
custom_hooks = [
    dict(type='RunInfoHook'),
    dict(type='LEwVStatsHook'),
]
custom_imports = dict(
    allow_failed_imports=False, imports=[
        'ifirvos',
    ])
data_root = 'data/synth_rvos/'
dataset_type = 'SynthRVOSDataset'
default_hooks = dict(
    checkpoint=dict(
        _scope_='mmdet',
        by_epoch=False,
        interval=100,
        max_keep_ckpts=2,
        type='SafeCheckpointHook'),
    curves=dict(type='CurvesHook'),
    hand_over=dict(
        allow_missing=[
            '(?!backbone[.]|neck[.]|text_encoder[.])',
            'text_encoder[.]model[.]pooler[.]',
        ],
        allow_unexpected=[
            '(?!backbone[.]|neck[.]|text_encoder[.])',
        ],
        drop=[
            '(?!backbone[.]|neck[.]|text_encoder[.])',
        ],
        type='HandOverHook'),
    logger=dict(
        _scope_='mmdet',
        interval=10,
        log_metric_by_epoch=False,
        type='LoggerHook'),
    non_finite=dict(type='NonFiniteLossHook'),
    param_scheduler=dict(_scope_='mmdet', type='ParamSchedulerHook'),
    preemption=dict(type='PreemptionHook'),
    resumption=dict(reset_optimizer=False, type='ResumeHook'),
    sampler_seed=dict(_scope_='mmdet', type='DistSamplerSeedHook'),
    timer=dict(_scope_='mmdet', type='IterTimerHook'),
    visualization=dict(
        _scope_='mmdet', draw=False, type='RVOSVisualizationHook'))
default_scope = 'mmdet'
deformable = dict(dropout=0.0, embed_dims=64, num_heads=4, num_points=2)
env_cfg = dict(
    cudnn_benchmark=False,
    dist_cfg=dict(backend='nccl'),
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
ffn = dict(embed_dims=64, feedforward_channels=256, ffn_drop=0.0)
ffn_channels = 256
heads = 4
img_scale = (
    96,
    64,
)
load_from = 'weights/r18_synth.pth'
log_level = 'INFO'
log_processor = dict(
    _scope_='mmdet', by_epoch=False, type='LogProcessor', window_size=50)
max_iters = 800
model = dict(
    backbone=dict(
        base_channels=16,
        depth=18,
        frozen_stages=-1,
        init_cfg=None,
        norm_cfg=dict(requires_grad=True, type='BN'),
        norm_eval=True,
        num_stages=4,
        out_indices=(
            0,
            1,
            2,
            3,
        ),
        style='pytorch',
        type='ResNet'),
    bbox_head=dict(
        box_loss_on_absent=True,
        embed_dims=64,
        loss_bbox=dict(loss_weight=5.0, type='L1Loss'),
        loss_cls=dict(
            alpha=0.25,
            gamma=2.0,
            loss_weight=10.0,
            type='FocalLoss',
            use_sigmoid=True),
        loss_dice=dict(
            eps=1.0,
            loss_weight=5.0,
            naive_dice=True,
            type='DiceLoss',
            use_sigmoid=True),
        loss_iou=dict(loss_weight=2.0, type='AlignedGIoULoss'),
        loss_mask=dict(
            alpha=0.25,
            gamma=2.0,
            loss_weight=2.0,
            type='FocalLoss',
            use_sigmoid=True),
        mask_head=dict(channels=8, in_channels=64, stride=4),
        mask_target='area',
        num_classes=1,
        num_reg_fcs=2,
        type='RVOSHead'),
    cut_to_key_frames=False,
    data_preprocessor=dict(
        bgr_to_rgb=True,
        mean=[
            123.675,
            116.28,
            103.53,
        ],
        pad_mask=True,
        pad_size_divisor=32,
        std=[
            58.395,
            57.12,
            57.375,
        ],
        test_pad_size_divisor=32,
        type='RVOSDataPreprocessor'),
    decoder=dict(
        layer_cfg=dict(
            cross_attn_cfg=dict(
                batch_first=True,
                dropout=0.0,
                embed_dims=64,
                num_heads=4,
                num_levels=4,
                num_points=2),
            ffn_cfg=dict(
                embed_dims=64,
                feedforward_channels=256,
                ffn_drop=0.0,
                num_fcs=2),
            ifi_cfg=None,
            self_attn_cfg=dict(
                batch_first=True, dropout=0.0, embed_dims=64, num_heads=4)),
        num_layers=3,
        post_norm_cfg=None,
        return_intermediate=True),
    encoder=dict(
        layer_cfg=dict(
            ffn_cfg=dict(
                embed_dims=64,
                feedforward_channels=256,
                ffn_drop=0.0,
                num_fcs=2),
            self_attn_cfg=dict(
                batch_first=True,
                dropout=0.0,
                embed_dims=64,
                num_heads=4,
                num_levels=4,
                num_points=2)),
        num_layers=2),
    fpn_text='raw',
    frozen_trunk=False,
    neck=dict(
        act_cfg=None,
        bias=True,
        in_channels=[
            32,
            64,
            128,
        ],
        kernel_size=1,
        norm_cfg=dict(num_groups=8, type='GN'),
        num_outs=4,
        out_channels=64,
        type='ChannelMapper'),
    num_feature_levels=4,
    num_queries=5,
    pixel_decoder=dict(
        dropout=0.0,
        embed_dims=64,
        feedforward_channels=128,
        in_channels=[
            16,
            64,
            64,
            64,
        ],
        num_groups=8,
        num_heads=4,
        reductions=(
            8,
            4,
            2,
            1,
        ),
        type='CrossModalFPN'),
    positional_encoding=dict(
        normalize=True, num_feats=32, offset=-0.5, padding_encoding='zero'),
    test_cfg=dict(
        candidates=False, frame_chunk=None, mask_probs=False, window=None),
    text_dropout=0.0,
    text_encoder=dict(
        config=dict(
            attention_probs_dropout_prob=0.0,
            bos_token_id=0,
            eos_token_id=2,
            hidden_dropout_prob=0.0,
            hidden_size=128,
            intermediate_size=256,
            max_position_embeddings=514,
            num_attention_heads=4,
            num_hidden_layers=2,
            pad_token_id=1,
            type_vocab_size=1,
            vocab_size=537),
        frozen=False,
        name='synth_tokenizer',
        pretrained=False,
        type='RobertaTextEncoder'),
    train_cfg=dict(
        assigner=dict(
            match_costs=[
                dict(type='ClipFocalLossCost', weight=2.0),
                dict(type='ClipBBoxL1Cost', weight=5.0),
                dict(type='ClipIoUCost', weight=2.0),
                dict(type='ClipMaskFocalLossCost', weight=2.0),
                dict(eps=1.0, pred_act=True, type='DiceCost', weight=5.0),
            ],
            type='HungarianAssigner')),
    type='IFIRVOS',
    value_pos=True,
    vli=dict(
        embed_dims=64,
        fusion='multiply',
        lewv=dict(
            order='fine_to_coarse',
            pooling='first',
            post_norm=True,
            residual=False,
            value_pos=False),
        num_heads=4,
        text='fixed',
        type='VisionLanguageInteraction',
        vewl=dict(out_proj_init='xavier', value_pos=False)))
motion = dict(
    dataset=dict(
        dataset=dict(
            data_root='data/synth_rvos/',
            kinds=[
                'motion',
            ],
            pipeline=[
                dict(mode='stratified', num_frames=5, type='RVOSClipSample'),
                dict(
                    share_random_params=True,
                    transforms=[
                        dict(type='LoadImageFromFile'),
                        dict(type='LoadRVOSMasks'),
                        dict(scale=(
                            96,
                            64,
                        ), type='ResizeByArea'),
                        dict(prob=0.5, type='RandomFlip'),
                        dict(
                            brightness_delta=16,
                            contrast_range=(
                                0.8,
                                1.2,
                            ),
                            hue_delta=6,
                            saturation_range=(
                                0.8,
                                1.2,
                            ),
                            swap_channels=False,
                            type='PhotoMetricDistortionUint8'),
                    ],
                    type='TransformBroadcaster'),
                dict(type='FlipExpression'),
                dict(type='RequireVisibleObject'),
                dict(type='PackRVOSInputs'),
            ],
            records='expression',
            split='train',
            type='SynthRVOSDataset'),
        type='PairedExpressions'),
    times=6,
    type='RepeatDataset')
num_frames = 5
optim_wrapper = dict(
    clip_grad=dict(max_norm=1.0, norm_type=2),
    constructor='GroupedOptimWrapperConstructor',
    optimizer=dict(fused=True, lr=0.0008, type='AdamW', weight_decay=0.0001),
    paramwise_cfg=dict(
        bias_decay_mult=0.0,
        custom_keys=dict({
            '.ifi.': dict(lr_mult=1.0),
            'backbone': dict(lr_mult=0.3),
            'neck': dict(lr_mult=0.5),
            'text_encoder': dict(lr_mult=0.3),
            'vli.lewv.interaction': dict(lr_mult=0.1)
        }),
        norm_decay_mult=0.0),
    type='OptimWrapper')
param_scheduler = [
    dict(begin=0, by_epoch=False, end=50, start_factor=0.01, type='LinearLR'),
    dict(
        begin=1150,
        by_epoch=False,
        end=2300,
        eta_min=0.0,
        type='CosineAnnealingLR'),
]
randomness = dict(seed=43)
repeats = dict(coherence=3, direction=1, motion=6, order=1)
resume = False
shared = 'backbone[.]|neck[.]|text_encoder[.]'
single_frame_kinds = [
    'attr',
    'spatial',
    'relation',
]
single_frames = dict(
    dataset=dict(
        data_root='data/synth_rvos/',
        kinds=[
            'attr',
            'spatial',
            'relation',
        ],
        pipeline=[
            dict(mode='stratified', num_frames=5, type='RVOSClipSample'),
            dict(
                share_random_params=True,
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadRVOSMasks'),
                    dict(scale=(
                        96,
                        64,
                    ), type='ResizeByArea'),
                    dict(prob=0.5, type='RandomFlip'),
                    dict(
                        brightness_delta=16,
                        contrast_range=(
                            0.8,
                            1.2,
                        ),
                        hue_delta=6,
                        saturation_range=(
                            0.8,
                            1.2,
                        ),
                        swap_channels=False,
                        type='PhotoMetricDistortionUint8'),
                ],
                type='TransformBroadcaster'),
            dict(type='FlipExpression'),
            dict(type='RequireVisibleObject'),
            dict(type='PackRVOSInputs'),
        ],
        records='expression',
        split='train',
        type='SynthRVOSDataset'),
    type='PairedExpressions')
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=1,
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        datasets=[
            dict(
                data_root='data/synth_rvos/',
                kinds=[
                    'attr',
                    'spatial',
                    'relation',
                    'motion',
                    'coherence',
                ],
                pipeline=[
                    dict(mode='all', type='RVOSClipSample'),
                    dict(
                        transforms=[
                            dict(type='LoadImageFromFile'),
                            dict(scale=(
                                96,
                                64,
                            ), type='ResizeByArea'),
                            dict(type='LoadRVOSMasks'),
                        ],
                        type='TransformBroadcaster'),
                    dict(type='PackRVOSInputs'),
                ],
                split='valid',
                test_mode=True,
                type='SynthRVOSDataset'),
            dict(
                data_root='data/synth_rvos/',
                kind_suffix='_comp',
                pipeline=[
                    dict(mode='all', type='RVOSClipSample'),
                    dict(
                        transforms=[
                            dict(type='LoadImageFromFile'),
                            dict(scale=(
                                96,
                                64,
                            ), type='ResizeByArea'),
                            dict(type='LoadRVOSMasks'),
                        ],
                        type='TransformBroadcaster'),
                    dict(type='PackRVOSInputs'),
                ],
                split='comp',
                test_mode=True,
                type='SynthRVOSDataset'),
        ],
        type='ConcatDataset'),
    drop_last=False,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(round_up=False, shuffle=False, type='DefaultSampler'))
test_evaluator = [
    dict(group_by='kind', leave_out=[
        'absent',
    ], type='RVOSMetric'),
    dict(group_by='kind', type='AbsenceMetric'),
]
test_pipeline = [
    dict(mode='all', type='RVOSClipSample'),
    dict(
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(scale=(
                96,
                64,
            ), type='ResizeByArea'),
            dict(type='LoadRVOSMasks'),
        ],
        type='TransformBroadcaster'),
    dict(type='PackRVOSInputs'),
]
train_cfg = dict(
    max_iters=2300,
    type='ResumableIterLoop',
    val_begin=100000,
    val_interval=2300)
train_clip_pipeline = [
    dict(
        share_random_params=True,
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadRVOSMasks'),
            dict(scale=(
                96,
                64,
            ), type='ResizeByArea'),
            dict(prob=0.5, type='RandomFlip'),
            dict(
                brightness_delta=16,
                contrast_range=(
                    0.8,
                    1.2,
                ),
                hue_delta=6,
                saturation_range=(
                    0.8,
                    1.2,
                ),
                swap_channels=False,
                type='PhotoMetricDistortionUint8'),
        ],
        type='TransformBroadcaster'),
    dict(type='FlipExpression'),
    dict(type='RequireVisibleObject'),
    dict(type='PackRVOSInputs'),
]
train_dataloader = dict(
    batch_size=12,
    collate_fn=dict(type='pair_collate'),
    dataset=dict(
        datasets=[
            dict(
                dataset=dict(
                    data_root='data/synth_rvos/',
                    kinds=[
                        'attr',
                        'spatial',
                        'relation',
                    ],
                    pipeline=[
                        dict(
                            mode='stratified',
                            num_frames=5,
                            type='RVOSClipSample'),
                        dict(
                            share_random_params=True,
                            transforms=[
                                dict(type='LoadImageFromFile'),
                                dict(type='LoadRVOSMasks'),
                                dict(scale=(
                                    96,
                                    64,
                                ), type='ResizeByArea'),
                                dict(prob=0.5, type='RandomFlip'),
                                dict(
                                    brightness_delta=16,
                                    contrast_range=(
                                        0.8,
                                        1.2,
                                    ),
                                    hue_delta=6,
                                    saturation_range=(
                                        0.8,
                                        1.2,
                                    ),
                                    swap_channels=False,
                                    type='PhotoMetricDistortionUint8'),
                            ],
                            type='TransformBroadcaster'),
                        dict(type='FlipExpression'),
                        dict(type='RequireVisibleObject'),
                        dict(type='PackRVOSInputs'),
                    ],
                    records='expression',
                    split='train',
                    type='SynthRVOSDataset'),
                type='PairedExpressions'),
            dict(
                dataset=dict(
                    dataset=dict(
                        data_root='data/synth_rvos/',
                        kinds=[
                            'motion',
                        ],
                        pipeline=[
                            dict(
                                mode='stratified',
                                num_frames=5,
                                type='RVOSClipSample'),
                            dict(
                                share_random_params=True,
                                transforms=[
                                    dict(type='LoadImageFromFile'),
                                    dict(type='LoadRVOSMasks'),
                                    dict(
                                        scale=(
                                            96,
                                            64,
                                        ), type='ResizeByArea'),
                                    dict(prob=0.5, type='RandomFlip'),
                                    dict(
                                        brightness_delta=16,
                                        contrast_range=(
                                            0.8,
                                            1.2,
                                        ),
                                        hue_delta=6,
                                        saturation_range=(
                                            0.8,
                                            1.2,
                                        ),
                                        swap_channels=False,
                                        type='PhotoMetricDistortionUint8'),
                                ],
                                type='TransformBroadcaster'),
                            dict(type='FlipExpression'),
                            dict(type='RequireVisibleObject'),
                            dict(type='PackRVOSInputs'),
                        ],
                        records='expression',
                        split='train',
                        type='SynthRVOSDataset'),
                    type='PairedExpressions'),
                times=4,
                type='RepeatDataset'),
            dict(
                dataset=dict(
                    dataset=dict(
                        data_root='data/synth_rvos/',
                        kinds=[
                            'coherence',
                        ],
                        pipeline=[
                            dict(
                                mode='stratified',
                                num_frames=5,
                                type='RVOSClipSample'),
                            dict(
                                share_random_params=True,
                                transforms=[
                                    dict(type='LoadImageFromFile'),
                                    dict(type='LoadRVOSMasks'),
                                    dict(
                                        scale=(
                                            96,
                                            64,
                                        ), type='ResizeByArea'),
                                    dict(prob=0.5, type='RandomFlip'),
                                    dict(
                                        brightness_delta=16,
                                        contrast_range=(
                                            0.8,
                                            1.2,
                                        ),
                                        hue_delta=6,
                                        saturation_range=(
                                            0.8,
                                            1.2,
                                        ),
                                        swap_channels=False,
                                        type='PhotoMetricDistortionUint8'),
                                ],
                                type='TransformBroadcaster'),
                            dict(type='FlipExpression'),
                            dict(type='RequireVisibleObject'),
                            dict(type='PackRVOSInputs'),
                        ],
                        records='expression',
                        split='train',
                        type='SynthRVOSDataset'),
                    type='PairedExpressions'),
                times=2,
                type='RepeatDataset'),
        ],
        type='ConcatDataset'),
    num_workers=1,
    persistent_workers=True,
    sampler=dict(shuffle=True, type='DefaultSampler'))
train_dataset = dict(
    data_root='data/synth_rvos/',
    pipeline=[
        dict(mode='stratified', num_frames=5, type='RVOSClipSample'),
        dict(
            share_random_params=True,
            transforms=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadRVOSMasks'),
                dict(scale=(
                    96,
                    64,
                ), type='ResizeByArea'),
                dict(prob=0.5, type='RandomFlip'),
                dict(
                    brightness_delta=16,
                    contrast_range=(
                        0.8,
                        1.2,
                    ),
                    hue_delta=6,
                    saturation_range=(
                        0.8,
                        1.2,
                    ),
                    swap_channels=False,
                    type='PhotoMetricDistortionUint8'),
            ],
            type='TransformBroadcaster'),
        dict(type='FlipExpression'),
        dict(type='RequireVisibleObject'),
        dict(type='PackRVOSInputs'),
    ],
    records='expression',
    split='train',
    type='SynthRVOSDataset')
train_frame_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadRVOSMasks'),
    dict(scale=(
        96,
        64,
    ), type='ResizeByArea'),
    dict(prob=0.5, type='RandomFlip'),
    dict(
        brightness_delta=16,
        contrast_range=(
            0.8,
            1.2,
        ),
        hue_delta=6,
        saturation_range=(
            0.8,
            1.2,
        ),
        swap_channels=False,
        type='PhotoMetricDistortionUint8'),
]
train_pipeline = [
    dict(mode='stratified', num_frames=5, type='RVOSClipSample'),
    dict(
        share_random_params=True,
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadRVOSMasks'),
            dict(scale=(
                96,
                64,
            ), type='ResizeByArea'),
            dict(prob=0.5, type='RandomFlip'),
            dict(
                brightness_delta=16,
                contrast_range=(
                    0.8,
                    1.2,
                ),
                hue_delta=6,
                saturation_range=(
                    0.8,
                    1.2,
                ),
                swap_channels=False,
                type='PhotoMetricDistortionUint8'),
        ],
        type='TransformBroadcaster'),
    dict(type='FlipExpression'),
    dict(type='RequireVisibleObject'),
    dict(type='PackRVOSInputs'),
]
val_cfg = dict(type='ValLoop')
val_dataloader = dict(
    batch_size=1,
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        data_root='data/synth_rvos/',
        pipeline=[
            dict(mode='all', type='RVOSClipSample'),
            dict(
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(scale=(
                        96,
                        64,
                    ), type='ResizeByArea'),
                    dict(type='LoadRVOSMasks'),
                ],
                type='TransformBroadcaster'),
            dict(type='PackRVOSInputs'),
        ],
        split='valid',
        test_mode=True,
        type='SynthRVOSDataset'),
    drop_last=False,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(round_up=False, shuffle=False, type='DefaultSampler'))
val_dataset = dict(
    data_root='data/synth_rvos/',
    pipeline=[
        dict(mode='all', type='RVOSClipSample'),
        dict(
            transforms=[
                dict(type='LoadImageFromFile'),
                dict(scale=(
                    96,
                    64,
                ), type='ResizeByArea'),
                dict(type='LoadRVOSMasks'),
            ],
            type='TransformBroadcaster'),
        dict(type='PackRVOSInputs'),
    ],
    split='valid',
    test_mode=True,
    type='SynthRVOSDataset')
val_evaluator = [
    dict(group_by='kind', leave_out=[
        'absent',
    ], type='RVOSMetric'),
    dict(group_by='kind', type='AbsenceMetric'),
]
valid = dict(
    data_root='data/synth_rvos/',
    kinds=[
        'attr',
        'spatial',
        'relation',
        'motion',
        'coherence',
    ],
    pipeline=[
        dict(mode='all', type='RVOSClipSample'),
        dict(
            transforms=[
                dict(type='LoadImageFromFile'),
                dict(scale=(
                    96,
                    64,
                ), type='ResizeByArea'),
                dict(type='LoadRVOSMasks'),
            ],
            type='TransformBroadcaster'),
        dict(type='PackRVOSInputs'),
    ],
    split='valid',
    test_mode=True,
    type='SynthRVOSDataset')
vis_backends = [
    dict(type='LocalVisBackend'),
    dict(type='OptionalTensorboardVisBackend'),
]
visualizer = dict(
    type='RVOSVisualizer',
    vis_backends=[
        dict(type='LocalVisBackend'),
        dict(type='OptionalTensorboardVisBackend'),
    ])
