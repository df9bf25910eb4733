# r50_ytvos.py with Swin-T. Not a row of the paper.
_base_ = ['./r50_ytvos.py', '../_base_/models/backbones/swin_t.py']
load_from = 'work_dirs/swin_t_refcoco_pretrain/epoch_10.pth'
model = _base_.with_backbone
