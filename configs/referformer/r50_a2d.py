# ReferFormer on A2D-Sentences (scripts/dist_train_a2d.sh): 2 clips per GPU, 6 epochs. The official code samples T=5
# frames and keeps only the annotated one after the backbone; with a ResNet, which processes frames one by one, this
# equals T=1.
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/datasets/referformer_a2d.py',
    '../_base_/schedules/referformer_6e.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/referformer/r50_refcoco_pretrain/epoch_12.pth'
# The class head is trained anew, as in ReferFormer's tools/load_pretrained_weights.py.
default_hooks = dict(hand_over=dict(drop=[r'bbox_head[.]cls_branches[.]']))

model = dict(
    data_preprocessor=dict(test_pad_size_divisor=32),  # as in the official code
    test_cfg=dict(candidates=True),  # score all N queries for mAP, as in published results
)
num_frames = 1  # T
train_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='reference'),
    *_base_.train_pipeline[1:],
]
test_pipeline = [dict(type='RVOSClipSample', num_frames=num_frames, mode='window'), *_base_.test_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(iou='reference')
test_evaluator = val_evaluator
train_cfg = dict(val_interval=1)
auto_scale_lr = dict(base_batch_size=16)  # 8 GPUs, 2 clips each
