# Our extension: IFI encodes the time of every frame, so that "moving left" can be learnt. A third stage, from the
# weights of r18_synth.py, in which most sentences are about the order of frames.
_base_ = './r18_synth.py'
load_from = 'work_dirs/r18_synth/iter_9000.pth'
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=dict(temporal_pos='learned'))))
default_hooks = dict(
    hand_over=dict(allow_missing=[r'decoder[.]layers[.]\d+[.]ifi[.]time_projection[.]'])  # r18_synth.py has none
)

max_iters = 8000
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=int(0.6 * max_iters), end=max_iters),
]
# Repetitions of the data sets of r18_synth.py, in their order: single frames, motion, coherence, direction, order.
single_frames = _base_.train_dataloader.dataset.datasets[0]
several_frames = _base_.train_dataloader.dataset.datasets[1:]
train_dataloader = dict(
    dataset=dict(
        datasets=[
            single_frames,
            *[dict(dataset, times=times) for dataset, times in zip(several_frames, (6, 2, 16, 12), strict=True)],
        ]
    )
)
