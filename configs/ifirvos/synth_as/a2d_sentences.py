# The small model on SynthRVOS in the layout of A2D-Sentences (docs/data.md).
_base_ = [
    '../../_base_/models/ifirvos_r18_small.py',
    '../../_base_/datasets/a2d_sentences.py',
    '../../_base_/default_runtime.py',
]

model = dict(test_cfg=dict(candidates=True))
test_pipeline = _base_.test_pipeline
test_pipeline[2]['transforms'][0] = dict(type='ResizeByArea', scale=(96, 64))
test_dataloader = dict(dataset=dict(data_root='data/synth_as/a2d-sentences/', pipeline=test_pipeline))
test_cfg = dict(type='TestLoop')

train_dataloader = None
val_dataloader = None
val_evaluator = None
