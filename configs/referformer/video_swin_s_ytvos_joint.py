# r50_ytvos_joint.py with Video-Swin-S (published: 63.3 J&F).
_base_ = ['./r50_ytvos_joint.py', '../_base_/models/backbones/video_swin_s.py']
model = _base_.with_backbone
