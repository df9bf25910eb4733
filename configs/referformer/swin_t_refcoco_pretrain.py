# Stage 1 of swin_t_ytvos.py: r50_refcoco_pretrain.py with Swin-T.
_base_ = ['./r50_refcoco_pretrain.py', '../_base_/models/backbones/swin_t.py']
model = _base_.with_backbone
