# Stage 1 of swin_l_ytvos.py: r50_refcoco_pretrain.py with Swin-L.
_base_ = ['./r50_refcoco_pretrain.py', '../_base_/models/backbones/swin_l.py']
model = _base_.with_backbone
