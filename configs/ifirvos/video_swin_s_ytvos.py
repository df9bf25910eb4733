# r50_ytvos.py with Video-Swin-S. Not a row of the paper.
_base_ = ['./r50_ytvos.py', '../_base_/models/backbones/video_swin_s.py']
load_from = 'work_dirs/video_swin_s_refcoco_pretrain/epoch_10.pth'
model = _base_.with_backbone
