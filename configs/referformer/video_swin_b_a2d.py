# r50_a2d.py with Video-Swin-B, 55.0 mAP there: its frames see one another, so all T=5 go through the backbone,
# and the annotated one alone goes on.
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/models/backbones/video_swin_b.py',
    '../_base_/datasets/a2d_sentences.py',
    '../_base_/schedules/referformer_6e.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/referformer/video_swin_b_refcoco_pretrain/epoch_12.pth'

model = dict(**_base_.with_backbone, cut_to_key_frames=True, test_cfg=dict(candidates=True))
train_dataloader = dict(batch_size=2)
train_cfg = dict(val_interval=1)
auto_scale_lr = dict(base_batch_size=16)  # 8 GPUs with 2 each
