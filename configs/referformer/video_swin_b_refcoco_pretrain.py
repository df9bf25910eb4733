# Stage 1 of video_swin_b_ytvos.py: r50_refcoco_pretrain.py with Video-Swin-B.
_base_ = ['./r50_refcoco_pretrain.py', '../_base_/models/backbones/video_swin_b.py']
model = _base_.with_backbone
