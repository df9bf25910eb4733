# Joint training on Ref-YouTube-VOS and pseudo-videos of RefCOCO/+/g, from ImageNet weights, T=6, 1 clip per GPU. Not in
# the paper: the schedule is ReferFormer's (R50: 58.7 J&F); model, learning rates and losses are the paper's.
_base_ = [
    '../_base_/models/ifirvos_r50.py',
    '../_base_/datasets/ref_youtube_vos_joint.py',
    '../_base_/schedules/joint_12e.py',
    '../_base_/default_runtime.py',
]

val_evaluator = [dict(type='RVOSMetric', unannotated='skip'), dict(type='SubmissionWriter')]
test_evaluator = val_evaluator
