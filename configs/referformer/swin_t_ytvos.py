# r50_ytvos.py with Swin-T (published: 58.7 J&F).
_base_ = ['./r50_ytvos.py', '../_base_/models/backbones/swin_t.py']
load_from = 'work_dirs/referformer/swin_t_refcoco_pretrain/epoch_12.pth'
model = _base_.with_backbone
