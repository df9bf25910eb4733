# r50_jhmdb.py with Video-Swin-T and the weights of video_swin_t_a2d.py.
_base_ = ['./r50_jhmdb.py', '../_base_/models/backbones/video_swin_t.py']
model = _base_.with_backbone
