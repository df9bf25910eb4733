# The paper's main model on Ref-DAVIS17 (Table 2), with the weights of r50_ytvos.py:
# python tools/test.py configs/ifirvos/r50_davis17.py CHECKPOINT
_base_ = [
    '../_base_/models/ifirvos_r50.py',
    '../_base_/datasets/ref_davis17.py',
    '../_base_/default_runtime.py',
]

model = dict(
    test_cfg=dict(
        mask_probs=True,  # objects of a video are merged by probability
        window=36,  # frames, as in ReferFormer (inference_davis.py)
    )
)
test_cfg = dict(type='TestLoop')
