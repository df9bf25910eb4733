# Stage 1 of the paper's main model: RefCOCO, RefCOCO+ and RefCOCOg together, T=1, 2 images per GPU (paper
# 4.2; batch size in _base_/datasets/refcoco.py, epochs and learning rates in _base_/schedules/refcoco_10e.py). Next:
# r50_ytvos.py
_base_ = [
    '../_base_/models/ifirvos_r50.py',
    '../_base_/datasets/refcoco.py',
    '../_base_/schedules/refcoco_10e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(test_pad_size_divisor=32),  # as in ReferFormer; not in the paper
    text_encoder=dict(frozen=False),  # paper 4.2: trained here at 1e-5, frozen in fine-tuning
)
train_cfg = dict(val_interval=1)  # RefCOCO val, after every epoch
auto_scale_lr = dict(
    base_batch_size=16
)  # 2 per GPU (paper) on 8 GPUs (ours; the paper does not say how many, ReferFormer used 32)
