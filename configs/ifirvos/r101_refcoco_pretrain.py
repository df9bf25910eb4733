# Stage 1 of r101_ytvos.py: r50_refcoco_pretrain.py with ResNet-101.
_base_ = ['./r50_refcoco_pretrain.py', '../_base_/models/backbones/r101.py']
model = _base_.with_backbone
