# r50_ytvos_joint.py with Swin-L (published: 64.2 J&F).
_base_ = ['./r50_ytvos_joint.py', '../_base_/models/backbones/swin_l.py']
model = _base_.with_backbone
