# mmdet's Swin-T (2-D, frame by frame); sizes and drop path as in ReferFormer's models/swin_transformer.py.
# A leaf uses it as `model = _base_.with_backbone`.
with_backbone = dict(
    backbone=dict(
        _delete_=True,
        type='ImageSwinTransformer',
        embed_dims=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        drop_path_rate=0.2,
        # To be downloaded from github.com/SwinTransformer/storage, release v1.0.0; the file that ReferFormer uses.
        init_cfg=dict(type='Pretrained', checkpoint='data/pretrained/swin_tiny_patch4_window7_224.pth'),
    ),
    neck=dict(in_channels=[192, 384, 768]),
    pixel_decoder=dict(in_channels=[96, 256, 256, 256]),
)
