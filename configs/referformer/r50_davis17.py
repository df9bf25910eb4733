# ReferFormer on Ref-DAVIS17 (58.5 J&F) with the weights of r50_ytvos.py:
# python tools/test.py configs/referformer/r50_davis17.py CHECKPOINT
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/datasets/ref_davis17.py',
    '../_base_/default_runtime.py',
]

model = dict(
    test_cfg=dict(
        mask_probs=True,  # the objects of a video are merged by their probabilities
        window=36,  # frames, as inference_davis.py there
    )
)
test_cfg = dict(type='TestLoop')
