# r50_a2d.py with Video-Swin-S.
_base_ = ['./r50_a2d.py', '../_base_/models/backbones/video_swin_s.py']
load_from = 'work_dirs/video_swin_s_refcoco_pretrain/epoch_10.pth'
model = _base_.with_backbone
