# r50_ytvos.py on a backbone whose frames see one another: Video-Swin-T, as ReferFormer has it. Not a row of the paper
# that has been reproduced.
_base_ = './r50_ytvos.py'
load_from = 'work_dirs/video_swin_t_refcoco_pretrain/epoch_10.pth'

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
