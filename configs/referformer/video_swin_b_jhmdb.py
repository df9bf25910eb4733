# JHMDB-Sentences with the weights of video_swin_b_a2d.py, not trained further (published: 43.7 mAP); T=5.
_base_ = ['../_base_/protocols/referformer_jhmdb.py', '../_base_/models/backbones/video_swin_b.py']
model = dict(**_base_.with_backbone, cut_to_key_frames=True)
