# r50_ytvos.py with Video-Swin-T (published: 59.4 J&F).
_base_ = ['./r50_ytvos.py', '../_base_/models/backbones/video_swin_t.py']
load_from = 'work_dirs/referformer/video_swin_t_refcoco_pretrain/epoch_12.pth'
model = _base_.with_backbone
