# Video-Swin-T, which attends across frames, as in ReferFormer's models/video_swin_transformer.py.
# A leaf uses it as `model = _base_.with_backbone`.
with_backbone = dict(
    backbone=dict(
        _delete_=True,
        type='VideoSwinTransformer',
        embed_dims=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        drop_path_rate=0.2,
        # To be downloaded from github.com/SwinTransformer/storage, release v1.0.4; the file that ReferFormer uses.
        init_cfg=dict(type='Pretrained', checkpoint='data/pretrained/swin_tiny_patch244_window877_kinetics400_1k.pth'),
    ),
    neck=dict(in_channels=[192, 384, 768]),
    pixel_decoder=dict(in_channels=[96, 256, 256, 256]),
)
