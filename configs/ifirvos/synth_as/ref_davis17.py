# The small model on SynthRVOS in the layout of Ref-DAVIS17 (docs/data.md).
_base_ = [
    '../../_base_/models/ifirvos_r18_small.py',
    '../../_base_/datasets/ref_davis17.py',
    '../../_base_/default_runtime.py',
]

model = dict(test_cfg=dict(mask_probs=True, window=36))
test_pipeline = _base_.test_pipeline
test_pipeline[1]['transforms'][1] = dict(type='ResizeByArea', scale=(96, 64))
test_dataloader = dict(dataset=dict(data_root='data/synth_as/ref-davis17/', pipeline=test_pipeline))
test_cfg = dict(type='TestLoop')
