# For the small SynthRVOS model: counts iterations; a constant learning rate, then cosine. All numbers are ours, chosen
# on the validation set.
max_iters = 5000
train_cfg = dict(type='ResumableIterLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='GroupedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=8e-4, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=1.0, norm_type=2),
    paramwise_cfg=dict(
        # In mmengine custom keys take precedence over these: their norms and biases decay too.
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        # LEwV multiplies the words four times: at the full learning rate their rms grows to 30 within 1,000 steps, the
        # softmax saturates, and every sentence gives the same query (see LEwVStatsHook).
        custom_keys={'vli.lewv.interaction': dict(lr_mult=0.1)},
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=int(0.6 * max_iters), end=max_iters),
]
