# Paper 4.2: fine-tuning for 6 epochs, x0.1 at 3 and 5; AdamW, 5e-5, 1e-5 for backbone and text encoder. Weight decay
# and gradient clipping are ReferFormer's (its opts.py): one decay for all parameters, norms and biases too.
train_cfg = dict(type='ResumableEpochLoop', max_epochs=6, val_interval=6)  # evaluated once, at the end
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='GroupedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=5e-5, weight_decay=5e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.2), 'text_encoder': dict(lr_mult=0.2)}),
)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[3, 5], gamma=0.1)]
# For --auto-scale-lr: 1 clip per GPU (paper) on 8 GPUs, as ReferFormer fine-tunes; the paper does not say how many.
auto_scale_lr = dict(enable=False, base_batch_size=8)
