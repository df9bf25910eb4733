# JHMDB-Sentences with the weights of video_swin_t_a2d.py, not trained further (published: 42.2 mAP); T=5.
_base_ = ['../_base_/protocols/referformer_jhmdb.py', '../_base_/models/backbones/video_swin_t.py']
model = dict(**_base_.with_backbone, cut_to_key_frames=True)
