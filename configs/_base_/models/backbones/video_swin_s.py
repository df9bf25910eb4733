_base_ = './video_swin_t.py'
with_backbone = dict(
    backbone=dict(
        depths=(2, 2, 18, 2),
        # Named in the first version of ReferFormer's README; from the same release as Video-Swin-T.
        init_cfg=dict(checkpoint='data/pretrained/swin_small_patch244_window877_kinetics400_1k.pth'),
    ),
)
