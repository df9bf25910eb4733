# ReferFormer with Video-Swin-T: as r50_ytvos.py but for the backbone.
_base_ = './r50_ytvos.py'
load_from = 'work_dirs/referformer/video_swin_t_refcoco_pretrain/epoch_12.pth'

model = dict(
    backbone=dict(
        _delete_=True,
        type='VideoSwinTransformer',  # its defaults are the tiny one
        # Of github.com/SwinTransformer/Video-Swin-Transformer: put it there.
        init_cfg=dict(type='Pretrained', checkpoint='data/pretrained/swin_tiny_patch244_window877_kinetics400_1k.pth'),
    ),
    neck=dict(in_channels=[192, 384, 768]),
    pixel_decoder=dict(in_channels=[96, 256, 256, 256]),
)
