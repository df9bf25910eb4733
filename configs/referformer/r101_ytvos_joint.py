# r50_ytvos_joint.py with ResNet-101 (published: 59.3 J&F).
_base_ = ['./r50_ytvos_joint.py', '../_base_/models/backbones/r101.py']
model = _base_.with_backbone
