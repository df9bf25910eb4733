# r50_a2d.py with Video-Swin-T.
_base_ = ['./r50_a2d.py', '../_base_/models/backbones/video_swin_t.py']
load_from = 'work_dirs/video_swin_t_refcoco_pretrain/epoch_10.pth'
model = _base_.with_backbone
