_base_ = './video_swin_s.py'
with_backbone = dict(
    backbone=dict(
        embed_dims=128,
        num_heads=(4, 8, 16, 32),
        # Named in the first version of ReferFormer's README: Kinetics-600, from ImageNet-22K.
        init_cfg=dict(checkpoint='data/pretrained/swin_base_patch244_window877_kinetics600_22k.pth'),
    ),
    neck=dict(in_channels=[256, 512, 1024]),
    pixel_decoder=dict(in_channels=[128, 256, 256, 256]),
)
