# Table 4 on SynthRVOS: both modules. Stage 2 of a recipe of its own, after r18_synth_pretrain.py: as in the last stage
# of the included model the whole model learns, on frames of 96x64. All numbers are ours.
_base_ = './r18_synth.py'
model = dict(
    frozen_trunk=False,
    backbone=dict(norm_eval=True),  # a step has few scenes: BatchNorm keeps the statistics of stage 1
    bbox_head=dict(loss_cls=dict(loss_weight=10.0)),
)

max_iters = 2800
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(
    optimizer=dict(lr=4e-4),
    paramwise_cfg=dict(custom_keys={'.ifi.': dict(lr_mult=2.0)}),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=max_iters // 2, end=max_iters),
]
