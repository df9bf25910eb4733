# Stage 1 of ReferFormer (scripts/dist_pretrain.sh): T=1, 2 images per GPU, 12 epochs, text encoder trained.
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/datasets/refcoco.py',
    '../_base_/datasets/referformer_protocol.py',
    '../_base_/schedules/referformer_12e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(test_pad_size_divisor=32),  # as in the official code
    text_encoder=dict(frozen=False),
)
train_pipeline = [
    *_base_.train_pipeline[:3],
    _base_.flip_expression,
    _base_.train_pipeline[4],
    _base_.require_object,
    _base_.train_pipeline[-1],
]
train_dataloader = dict(
    dataset=dict(datasets=[dict(part, pipeline=train_pipeline) for part in _base_.train_dataloader.dataset.datasets])
)
train_cfg = dict(val_interval=1)
auto_scale_lr = dict(base_batch_size=64)  # published: 32 GPUs, 2 images each (issues 9, 11, 19, 25)
