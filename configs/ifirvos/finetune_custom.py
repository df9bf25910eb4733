# Fine-tuning on one's own videos (docs/own_data.md): one GPU, small rates, and the end when J&F of the validation set
# no longer rises. ReferFormer's model, because published weights of IFIRVOS do not exist; `ifirvos models` lists more
# to start from, whose config then takes the place of the model below.
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/datasets/custom.py',
    '../_base_/schedules/finetune.py',
    '../_base_/default_runtime.py',
]
load_from = 'referformer-r50-ytvos-joint'  # a name of the zoo, or a file

default_hooks = dict(checkpoint=dict(save_best='rvos/J&F', rule='greater'))
custom_hooks = [
    *_base_.custom_hooks,
    # J&F is in percent: four evaluations in a row that bring less than 0.1 end the training.
    dict(type='EarlyStoppingHook', monitor='rvos/J&F', rule='greater', min_delta=0.1, patience=4),
]
