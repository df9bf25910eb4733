# r50_ytvos_joint.py with Video-Swin-B. Not a row of the paper.
_base_ = ['./r50_ytvos_joint.py', '../_base_/models/backbones/video_swin_b.py']
model = _base_.with_backbone
