# r50_a2d.py with Video-Swin-T (published: 52.8 mAP). The backbone attends across frames, so all T=5 frames pass through
# it; only the annotated one goes further.
_base_ = ['../_base_/protocols/referformer_a2d.py', '../_base_/models/backbones/video_swin_t.py']
load_from = 'work_dirs/referformer/video_swin_t_refcoco_pretrain/epoch_12.pth'
model = dict(**_base_.with_backbone, cut_to_key_frames=True)
