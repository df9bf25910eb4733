# JHMDB-Sentences with the weights of r50_a2d.py, not trained further, T=1 as in the official code:
# python tools/test.py configs/referformer/r50_jhmdb.py CHECKPOINT
_base_ = '../_base_/protocols/referformer_jhmdb.py'

num_frames = 1
test_pipeline = [dict(type='RVOSClipSample', num_frames=num_frames, mode='window'), *_base_.test_pipeline[1:]]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
