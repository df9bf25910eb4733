_base_ = './video_swin_t.py'
with_backbone = dict(
    backbone=dict(
        depths=(2, 2, 18, 2),
        # The file that ReferFormer names in the first version of its README; of the same release as Video-Swin-T's.
        init_cfg=dict(checkpoint='data/pretrained/swin_small_patch244_window877_kinetics400_1k.pth'),
    ),
)
