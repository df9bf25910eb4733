# finetune_custom.py with the small model and its input size, for the generated clips of docs/own_data.md.
_base_ = [
    '../_base_/models/ifirvos_r18_small.py',
    '../_base_/datasets/custom.py',
    '../_base_/schedules/finetune.py',
    '../_base_/default_runtime.py',
]
load_from = 'weights/r18_synth.pth'

resize = dict(type='ResizeByArea', scale=(96, 64))
train_pipeline = [
    *_base_.train_pipeline[:4],
    dict(type='TransformBroadcaster', share_random_params=True, transforms=[resize]),
    *_base_.train_pipeline[5:],
]
test_pipeline = [
    _base_.test_pipeline[0],
    dict(type='TransformBroadcaster', transforms=[dict(type='LoadImageFromFile'), resize, dict(type='LoadRVOSMasks')]),
    _base_.test_pipeline[2],
]
train_dataloader = dict(num_workers=1, dataset=dict(records='expression', pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=1e-4))  # the model was trained at 8e-4
default_hooks = dict(checkpoint=dict(save_best='rvos/J&F', rule='greater'))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ResumableEarlyStopping', monitor='rvos/J&F', rule='greater', min_delta=0.1, patience=4),
]
