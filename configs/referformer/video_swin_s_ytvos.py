# r50_ytvos.py with Video-Swin-S (published: 60.1 J&F).
_base_ = ['./r50_ytvos.py', '../_base_/models/backbones/video_swin_s.py']
load_from = 'work_dirs/referformer/video_swin_s_refcoco_pretrain/epoch_12.pth'
model = _base_.with_backbone
