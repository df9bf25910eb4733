# r50_ytvos.py with ResNet-101 (published: 57.3 J&F).
_base_ = ['./r50_ytvos.py', '../_base_/models/backbones/r101.py']
load_from = 'work_dirs/referformer/r101_refcoco_pretrain/epoch_12.pth'
model = _base_.with_backbone
