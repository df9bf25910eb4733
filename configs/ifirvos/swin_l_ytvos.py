# r50_ytvos.py with Swin-L. Not a row of the paper.
_base_ = ['./r50_ytvos.py', '../_base_/models/backbones/swin_l.py']
load_from = 'work_dirs/swin_l_refcoco_pretrain/epoch_10.pth'
model = _base_.with_backbone
