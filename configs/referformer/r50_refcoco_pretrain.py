# Stage 1 of ReferFormer (its scripts/dist_pretrain.sh): T=1, 2 pictures a GPU, 12 epochs, text encoder trained.
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/datasets/refcoco.py',
    '../_base_/schedules/referformer_12e.py',
    '../_base_/default_runtime.py',
]

model = dict(text_encoder=dict(frozen=False))
train_cfg = dict(val_interval=1)
auto_scale_lr = dict(base_batch_size=16)  # 8 GPUs with 2 each
