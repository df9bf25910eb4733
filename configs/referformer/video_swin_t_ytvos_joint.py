# r50_ytvos_joint.py with Video-Swin-T (published: 62.6 J&F).
_base_ = ['./r50_ytvos_joint.py', '../_base_/models/backbones/video_swin_t.py']
model = _base_.with_backbone
