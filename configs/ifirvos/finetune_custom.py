# Fine-tuning on your own videos (docs/own_data.md): one GPU, small learning rates, early stopping on J&F. The model is
# ReferFormer, because there are no published IFIRVOS weights. To start from another model of `ifirvos models`, replace
# the model below by that of its config.
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/datasets/custom.py',
    '../_base_/schedules/finetune.py',
    '../_base_/default_runtime.py',
]
load_from = 'referformer-r50-ytvos-joint'  # a name listed by `ifirvos models`, or a file

default_hooks = dict(checkpoint=dict(save_best='rvos/J&F', rule='greater'))
custom_hooks = [
    *_base_.custom_hooks,
    # Stops after four evaluations without a gain of 0.1 (J&F is in percent).
    dict(type='ResumableEarlyStopping', monitor='rvos/J&F', rule='greater', min_delta=0.1, patience=4),
]
