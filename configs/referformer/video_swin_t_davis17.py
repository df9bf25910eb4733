# r50_davis17.py with Video-Swin-T and the weights of video_swin_t_ytvos.py.
_base_ = ['./r50_davis17.py', '../_base_/models/backbones/video_swin_t.py']
model = _base_.with_backbone
