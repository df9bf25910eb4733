# r50_jhmdb.py with Video-Swin-B and the weights of video_swin_b_a2d.py.
_base_ = ['./r50_jhmdb.py', '../_base_/models/backbones/video_swin_b.py']
model = _base_.with_backbone
