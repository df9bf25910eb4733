# ReferFormer on Ref-YouTube-VOS (scripts/dist_train_test_ytvos.sh, published: 55.6 J&F): from its own pre-trained
# weights, T=5, 1 clip per GPU, 6 epochs, text encoder frozen.
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/datasets/ref_youtube_vos.py',
    '../_base_/datasets/referformer_protocol.py',
    '../_base_/schedules/referformer_6e.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/referformer/r50_refcoco_pretrain/epoch_12.pth'
# The class head is trained anew, as in ReferFormer's tools/load_pretrained_weights.py.
default_hooks = dict(hand_over=dict(drop=[r'bbox_head[.]cls_branches[.]']))

num_frames = 5  # T
train_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='reference'),
    _base_.train_pipeline[1],
    _base_.flip_expression,
    _base_.distort_colours,
    _base_.train_pipeline[4],
    _base_.require_object,
    _base_.train_pipeline[-1],
]
test_pipeline = [_base_.test_pipeline[0], _base_.load_video_frames, _base_.test_pipeline[-1]]
train_dataloader = dict(dataset=dict(key_frame_interval=num_frames, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='RVOSMetric', unannotated='skip'), dict(type='SubmissionWriter')]
test_evaluator = val_evaluator
