# JHMDB-Sentences with the weights of r50_a2d.py, not trained further, T=1 as in the official code:
# python tools/test.py configs/referformer/r50_jhmdb.py CHECKPOINT
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/datasets/jhmdb_sentences.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(test_pad_size_divisor=32), test_cfg=dict(candidates=True))
num_frames = 1
test_pipeline = [dict(type='RVOSClipSample', num_frames=num_frames, mode='window'), *_base_.test_pipeline[1:]]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_evaluator = dict(type='A2DMetric', prefix='jhmdb', iou='reference')
test_cfg = dict(type='TestLoop')
val_dataloader = None
val_evaluator = None
