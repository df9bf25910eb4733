# r50_ytvos_joint.py with Swin-T. Not published.
_base_ = ['./r50_ytvos_joint.py', '../_base_/models/backbones/swin_t.py']
model = _base_.with_backbone
