# r50_ytvos.py with Video-Swin-B. Not a row of the paper.
_base_ = ['./r50_ytvos.py', '../_base_/models/backbones/video_swin_b.py']
load_from = 'work_dirs/video_swin_b_refcoco_pretrain/epoch_10.pth'
model = _base_.with_backbone
