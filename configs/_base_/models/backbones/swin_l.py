_base_ = './swin_t.py'
with_backbone = dict(
    backbone=dict(
        embed_dims=192,
        depths=(2, 2, 18, 2),
        num_heads=(6, 12, 24, 48),
        drop_path_rate=0.3,
        # Named in the first version of ReferFormer's README; from the same release as Swin-T.
        init_cfg=dict(checkpoint='data/pretrained/swin_large_patch4_window7_224_22k.pth'),
    ),
    neck=dict(in_channels=[384, 768, 1536]),
    pixel_decoder=dict(in_channels=[192, 256, 256, 256]),
)
