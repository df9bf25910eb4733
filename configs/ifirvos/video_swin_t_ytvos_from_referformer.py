# r50_ytvos_from_referformer.py with Video-Swin-T.
_base_ = ['./r50_ytvos_from_referformer.py', '../_base_/models/backbones/video_swin_t.py']
load_from = 'referformer-video-swin-t-refcoco'
model = _base_.with_backbone
