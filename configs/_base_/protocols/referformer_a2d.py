# ReferFormer on A2D-Sentences (scripts/dist_train_a2d.sh): T=5, 2 clips per GPU, 6 epochs; without backbone and initial
# weights.
_base_ = [
    '../models/referformer_r50.py',
    '../datasets/referformer_a2d.py',
    '../schedules/referformer_6e.py',
    '../default_runtime.py',
]
# The class head is trained anew, as in ReferFormer's tools/load_pretrained_weights.py.
default_hooks = dict(hand_over=dict(drop=[r'bbox_head[.]cls_branches[.]']))

model = dict(
    data_preprocessor=dict(test_pad_size_divisor=32),  # as in the official code
    test_cfg=dict(candidates=True),  # score all N queries for mAP, as in published results
)
val_evaluator = dict(iou='reference')
test_evaluator = val_evaluator
train_cfg = dict(val_interval=1)
auto_scale_lr = dict(base_batch_size=16)  # 8 GPUs, 2 clips each
