# The paper's model on A2D-Sentences (Table 3), "with the same setting as Ref-Youtube-VOS" (paper 4.2): from the same
# pre-trained weights, T=6, 1 clip a GPU, 6 epochs (ReferFormer: T=5, 2 clips a GPU).
_base_ = [
    '../_base_/models/ifirvos_r50.py',
    '../_base_/datasets/a2d_sentences.py',
    '../_base_/schedules/ytvos_6e.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/r50_refcoco_pretrain/epoch_10.pth'

model = dict(
    data_preprocessor=dict(test_pad_size_divisor=32),  # the paper is silent: as ReferFormer's
    test_cfg=dict(candidates=True),  # all N queries are scored for mAP, as the published rows are
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
