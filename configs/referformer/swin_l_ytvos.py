# r50_ytvos.py with Swin-L (published: 62.4 J&F).
_base_ = ['./r50_ytvos.py', '../_base_/models/backbones/swin_l.py']
load_from = 'work_dirs/referformer/swin_l_refcoco_pretrain/epoch_12.pth'
model = _base_.with_backbone
