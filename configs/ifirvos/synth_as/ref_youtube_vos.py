# The small model on SynthRVOS in the layout of Ref-YouTube-VOS (docs/data.md).
_base_ = [
    '../../_base_/models/ifirvos_r18_small.py',
    '../../_base_/datasets/ref_youtube_vos.py',
    '../../_base_/default_runtime.py',
]

test_pipeline = _base_.test_pipeline
test_pipeline[1]['transforms'][1] = dict(type='ResizeByArea', scale=(96, 64))
test_dataloader = dict(dataset=dict(data_root='data/synth_as/ref-youtube-vos/', pipeline=test_pipeline))
test_evaluator = dict(group_by='kind', leave_out=['absent'])
test_cfg = dict(type='TestLoop')

train_dataloader = None
val_dataloader = None
val_evaluator = None
