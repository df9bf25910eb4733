# r50_ytvos_joint.py with ResNet-101. Not a row of the paper.
_base_ = ['./r50_ytvos_joint.py', '../_base_/models/backbones/r101.py']
model = _base_.with_backbone
