# SynthRVOS as in the paper's pre-training on images: T=1, and the kinds that one frame can answer. Also `coherence`,
# whose objects are grey in most frames: the second stage freezes the features, so grey must be seen here.
_base_ = './synth_rvos.py'

num_frames = 1
train_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='stratified'),
    *_base_.train_clip_pipeline,
]
train_dataloader = dict(
    batch_size=32,
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        _delete_=True,
        type=_base_.dataset_type,
        data_root=_base_.data_root,
        split='train',
        records='expression',
        kinds=[*_base_.single_frame_kinds, 'coherence'],
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(dataset=dict(kinds=_base_.single_frame_kinds))
