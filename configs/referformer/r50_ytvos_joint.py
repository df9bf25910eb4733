# ReferFormer trained jointly on Ref-YouTube-VOS and pseudo-videos of RefCOCO/+/g (scripts/dist_joint_train_ytvos.sh,
# published: 58.7 J&F): from ImageNet weights, T=5, 1 clip per GPU, 12 epochs, text encoder frozen.
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/datasets/ref_youtube_vos_joint.py',
    '../_base_/datasets/referformer_protocol.py',
    '../_base_/schedules/referformer_12e.py',
    '../_base_/default_runtime.py',
]

auto_scale_lr = dict(base_batch_size=32)  # published: 32 GPUs, 1 clip each (issues 9, 11, 19, 25)

num_frames = 5  # T
train_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='reference'),
    _base_.train_pipeline[1],
    _base_.flip_expression,
    _base_.distort_colours,
    _base_.train_pipeline[4],
    _base_.require_object,
    _base_.train_pipeline[-1],
]
test_pipeline = [_base_.test_pipeline[0], _base_.load_video_frames, _base_.test_pipeline[-1]]
pseudo_video_pipeline = [
    *_base_.pseudo_video_pipeline[:2],
    dict(type='PseudoVideo', num_frames=num_frames),
    _base_.pseudo_video_pipeline[3],
    *train_pipeline[2:],
]
train_dataloader = dict(
    dataset=dict(
        datasets=[
            *(dict(part, pipeline=pseudo_video_pipeline) for part in _base_.train_dataloader.dataset.datasets[:3]),
            dict(_base_.train_dataloader.dataset.datasets[3], key_frame_interval=num_frames, pipeline=train_pipeline),
        ]
    )
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='RVOSMetric', unannotated='skip'), dict(type='SubmissionWriter')]
test_evaluator = val_evaluator
