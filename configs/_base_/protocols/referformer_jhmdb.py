# ReferFormer on JHMDB-Sentences with weights trained on A2D-Sentences; T=5; without backbone.
_base_ = ['../models/referformer_r50.py', '../datasets/jhmdb_sentences.py', '../default_runtime.py']

model = dict(data_preprocessor=dict(test_pad_size_divisor=32), test_cfg=dict(candidates=True))
test_evaluator = dict(type='A2DMetric', prefix='jhmdb', iou='reference')
test_cfg = dict(type='TestLoop')
val_dataloader = None
val_evaluator = None
