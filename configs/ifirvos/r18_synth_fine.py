# The model that ships: the last stage, from the weights of r18_synth_temporal.py. Frames of 144x96 in place of 96x64,
# masks at stride 2, sentences that fit nothing, and the whole model learns. All numbers are ours.
_base_ = [
    '../_base_/models/ifirvos_r18_small.py',
    '../_base_/datasets/synth_rvos_fine.py',
    '../_base_/schedules/synth.py',
    '../_base_/iter_runtime.py',
]
load_from = 'weights/r18_synth_temporal.pth'
default_hooks = dict(hand_over=dict(allow_missing=[r'pixel_decoder[.]finer[.]']))  # initialised to zero

model = dict(
    # A step has few scenes, with similar frames, so BatchNorm keeps the statistics of stage 1.
    backbone=dict(norm_eval=True),
    decoder=dict(layer_cfg=dict(ifi_cfg=dict(temporal_pos='learned'))),
    pixel_decoder=dict(mask_stride=2),
    bbox_head=dict(
        mask_head=dict(stride=2),
        loss_cls=dict(loss_weight=10.0),
        # Absent objects train the score only, not the box or the mask.
        box_loss_on_absent=False,
        mask_loss_on_absent=False,
    ),
)

max_iters = 600
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(
    optimizer=dict(lr=4e-4),
    paramwise_cfg=dict(custom_keys={'text_encoder': dict(lr_mult=0.3)}),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=max_iters // 2, end=max_iters),
]
