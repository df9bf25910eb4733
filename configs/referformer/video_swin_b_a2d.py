# r50_a2d.py with Video-Swin-B (published: 55.0 mAP). The backbone attends across frames, so all T=5 frames pass through
# it; only the annotated one goes further.
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/models/backbones/video_swin_b.py',
    '../_base_/datasets/referformer_a2d.py',
    '../_base_/schedules/referformer_6e.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/referformer/video_swin_b_refcoco_pretrain/epoch_12.pth'
# The class head is trained anew, as in ReferFormer's tools/load_pretrained_weights.py.
default_hooks = dict(hand_over=dict(drop=[r'bbox_head[.]cls_branches[.]']))

model = dict(
    **_base_.with_backbone,
    data_preprocessor=dict(test_pad_size_divisor=32),
    cut_to_key_frames=True,
    test_cfg=dict(candidates=True),
)
val_evaluator = dict(iou='reference')
test_evaluator = val_evaluator
train_cfg = dict(val_interval=1)
auto_scale_lr = dict(base_batch_size=16)  # 8 GPUs, 2 clips each
