# The paper's model on A2D-Sentences (Table 3), "with the same setting as Ref-Youtube-VOS" (paper 4.2): the same
# pre-trained weights, T=6, 1 clip per GPU, 6 epochs (ReferFormer: T=5, 2 clips per GPU).
_base_ = [
    '../_base_/models/ifirvos_r50.py',
    '../_base_/datasets/a2d_sentences.py',
    '../_base_/schedules/ytvos_6e.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/r50_refcoco_pretrain/epoch_10.pth'

model = dict(
    data_preprocessor=dict(test_pad_size_divisor=32),  # as in ReferFormer; not in the paper
    test_cfg=dict(candidates=True),  # score all N queries for mAP, as in published results
)
num_frames = 6  # T
train_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='reference'),
    *_base_.train_pipeline[1:],
]
test_pipeline = [dict(type='RVOSClipSample', num_frames=num_frames, mode='window'), *_base_.test_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(val_interval=1)
