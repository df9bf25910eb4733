# Stage 1 of the experiment in docs/training.md ("Without the expensive first stage"): a small ReferFormer, single
# frames.
_base_ = '../r18_synth_pretrain.py'
model = dict(vli=dict(lewv=None), decoder=dict(layer_cfg=dict(ifi_cfg=None)))

max_iters = 400
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=int(0.6 * max_iters), end=max_iters),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
val_dataloader = dict(dataset=dict(indices=150))
