# Stage 2 of the experiment: IFIRVOS from random weights, to compare with warm.py.
_base_ = '../r18_synth.py'
load_from = None
model = dict(frozen_trunk=False)

max_iters = 200
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
train_dataloader = dict(batch_size=2)  # pairs
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=int(0.6 * max_iters), end=max_iters),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
val_dataloader = dict(dataset=dict(indices=150))
