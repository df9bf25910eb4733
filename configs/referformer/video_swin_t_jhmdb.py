# JHMDB-Sentences with the weights of video_swin_t_a2d.py, not trained further (published: 42.2 mAP); T=5.
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/models/backbones/video_swin_t.py',
    '../_base_/datasets/jhmdb_sentences.py',
    '../_base_/default_runtime.py',
]

model = dict(
    **_base_.with_backbone,
    data_preprocessor=dict(test_pad_size_divisor=32),
    cut_to_key_frames=True,
    test_cfg=dict(candidates=True),
)
test_evaluator = dict(type='A2DMetric', prefix='jhmdb', iou='reference')
test_cfg = dict(type='TestLoop')
val_dataloader = None
val_evaluator = None
