# r50_ytvos.py with Video-Swin-B (published: 62.9 J&F).
_base_ = ['./r50_ytvos.py', '../_base_/models/backbones/video_swin_b.py']
load_from = 'work_dirs/referformer/video_swin_b_refcoco_pretrain/epoch_12.pth'
model = _base_.with_backbone
