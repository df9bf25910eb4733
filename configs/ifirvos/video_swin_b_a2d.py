# r50_a2d.py with Video-Swin-B.
_base_ = ['./r50_a2d.py', '../_base_/models/backbones/video_swin_b.py']
load_from = 'work_dirs/video_swin_b_refcoco_pretrain/epoch_10.pth'
model = _base_.with_backbone
