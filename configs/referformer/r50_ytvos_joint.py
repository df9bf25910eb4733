# ReferFormer trained jointly on Ref-YouTube-VOS and pseudo-videos of RefCOCO/+/g (scripts/dist_joint_train_ytvos.sh
# there, 58.7 J&F): from ImageNet weights, T=5, 1 clip a GPU, 12 epochs, text encoder frozen.
_base_ = [
    '../_base_/models/referformer_r50.py',
    '../_base_/datasets/ref_youtube_vos_joint.py',
    '../_base_/schedules/referformer_12e.py',
    '../_base_/default_runtime.py',
]

num_frames = 5  # T
train_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='reference'),
    *_base_.train_pipeline[1:],
]
pseudo_video_pipeline = [
    *_base_.pseudo_video_pipeline[:2],
    dict(type='PseudoVideo', num_frames=num_frames),
    *_base_.pseudo_video_pipeline[3:],
]
train_dataloader = dict(
    dataset=dict(
        datasets=[
            *(dict(part, pipeline=pseudo_video_pipeline) for part in _base_.train_dataloader.dataset.datasets[:3]),
            dict(_base_.train_dataloader.dataset.datasets[3], key_frame_interval=num_frames, pipeline=train_pipeline),
        ]
    )
)
val_evaluator = [dict(type='RVOSMetric', unannotated='skip'), dict(type='SubmissionWriter')]
test_evaluator = val_evaluator
