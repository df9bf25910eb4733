# ReferFormer on Ref-DAVIS17 (58.5 J&F) with the weights of r50_ytvos.py:
# python tools/test.py configs/referformer/r50_davis17.py CHECKPOINT
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/datasets/ref_davis17.py',
    '../_base_/datasets/referformer_protocol.py',
    '../_base_/default_runtime.py',
]

model = dict(
    test_cfg=dict(
        mask_probs=True,  # objects of a video are merged by probability
        window=36,  # frames, as in ReferFormer's inference_davis.py
    )
)
test_pipeline = [_base_.test_pipeline[0], _base_.load_video_frames, _base_.test_pipeline[-1]]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_cfg = dict(type='TestLoop')
