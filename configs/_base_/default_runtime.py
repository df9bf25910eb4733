_base_ = 'mmdet::_base_/default_runtime.py'
custom_imports = dict(imports=['ifirvos'], allow_failed_imports=False)

default_hooks = dict(
    # TrackDataSamples are drawn by tools and by a hook of our own, not by mmdet's image hook.
    visualization=None,
    checkpoint=dict(interval=1, max_keep_ckpts=2),
)
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
randomness = dict(seed=42)  # the reference's
