# ReferFormer on A2D-Sentences. The official code samples T=5 frames and keeps only the annotated one after the
# backbone; with a ResNet, which processes frames one by one, this equals T=1.
_base_ = '../_base_/protocols/referformer_a2d.py'
load_from = 'work_dirs/referformer/r50_refcoco_pretrain/epoch_12.pth'

num_frames = 1  # T
train_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='reference'),
    *_base_.train_pipeline[1:],
]
test_pipeline = [dict(type='RVOSClipSample', num_frames=num_frames, mode='window'), *_base_.test_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
