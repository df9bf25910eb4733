# r50_ytvos_joint.py with Video-Swin-B (published: 64.9 J&F).
_base_ = ['./r50_ytvos_joint.py', '../_base_/models/backbones/video_swin_b.py']
model = _base_.with_backbone
