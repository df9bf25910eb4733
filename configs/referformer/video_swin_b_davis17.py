# r50_davis17.py with Video-Swin-B and the weights of video_swin_b_ytvos.py (published: 61.1 J&F).
_base_ = ['./r50_davis17.py', '../_base_/models/backbones/video_swin_b.py']
model = _base_.with_backbone
