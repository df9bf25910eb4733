# r50_ytvos.py with ResNet-101. Not a row of the paper.
_base_ = ['./r50_ytvos.py', '../_base_/models/backbones/r101.py']
load_from = 'work_dirs/r101_refcoco_pretrain/epoch_10.pth'
model = _base_.with_backbone
