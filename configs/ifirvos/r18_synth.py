# Stage 2 of the small model: clips, and all kinds of sentence, from the weights of r18_synth_pretrain.py.
_base_ = [
    '../_base_/models/ifirvos_r18_small.py',
    '../_base_/datasets/synth_rvos.py',
    '../_base_/schedules/synth.py',
    '../_base_/iter_runtime.py',
]
load_from = 'work_dirs/r18_synth_pretrain/iter_4500.pth'
# What only this stage may have, and starts at its initialisation.
default_hooks = dict(hand_over=dict(allow_missing=[r'decoder[.]layers[.]\d+[.]ifi[.]box_projection[.]']))

model = dict(backbone=dict(frozen_stages=4, norm_eval=True))

max_iters = 8000
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
# What stage 1 has learnt changes at a tenth of the rate.
trunk = dict(lr_mult=0.1)
optim_wrapper = dict(
    optimizer=dict(lr=4e-4),
    paramwise_cfg=dict(
        custom_keys={'neck': trunk, 'vli.vewl': trunk, 'encoder.layers': trunk, 'pixel_decoder': trunk},
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=int(0.6 * max_iters), end=max_iters),
]
