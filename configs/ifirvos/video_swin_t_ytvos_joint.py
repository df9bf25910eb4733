# r50_ytvos_joint.py with Video-Swin-T. Not a row of the paper.
_base_ = ['./r50_ytvos_joint.py', '../_base_/models/backbones/video_swin_t.py']
model = _base_.with_backbone
