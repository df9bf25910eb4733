# r50_a2d.py with Video-Swin-B (published: 55.0 mAP). The backbone attends across frames, so all T=5 frames pass through
# it; only the annotated one goes further.
_base_ = ['../_base_/protocols/referformer_a2d.py', '../_base_/models/backbones/video_swin_b.py']
load_from = 'work_dirs/referformer/video_swin_b_refcoco_pretrain/epoch_12.pth'
model = dict(**_base_.with_backbone, cut_to_key_frames=True)
