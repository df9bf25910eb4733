# The small model on SynthRVOS in the layout of MeViS (docs/data.md).
_base_ = [
    '../../_base_/models/ifirvos_r18_small.py',
    '../../_base_/datasets/mevis.py',
    '../../_base_/default_runtime.py',
]

test_pipeline = _base_.test_pipeline
test_pipeline[1]['transforms'][1] = dict(type='ResizeByArea', scale=(96, 64))
test_dataloader = dict(dataset=dict(data_root='data/synth_as/mevis/', pipeline=test_pipeline))
test_evaluator = dict(group_by='kind')
test_cfg = dict(type='TestLoop')

train_dataloader = None
val_dataloader = None
val_evaluator = None
