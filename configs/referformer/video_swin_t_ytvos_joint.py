# r50_ytvos_joint.py with Video-Swin-T, 62.6 J&F there.
_base_ = ['./r50_ytvos_joint.py', '../_base_/models/backbones/video_swin_t.py']
model = _base_.with_backbone
