# r50_davis17.py with Swin-L and the weights of swin_l_ytvos.py (published: 60.5 J&F).
_base_ = ['./r50_davis17.py', '../_base_/models/backbones/swin_l.py']
model = _base_.with_backbone
