_base_ = 'mmdet::_base_/default_runtime.py'
custom_imports = dict(imports=['ifirvos'], allow_failed_imports=False)

default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=2),
    visualization=dict(type='RVOSVisualizationHook', draw=False),  # draw=True: pictures in validation and testing
)
visualizer = dict(type='RVOSVisualizer')
# A list is replaced whole: a config that adds a hook repeats these.
custom_hooks = [dict(type='RunInfoHook'), dict(type='LEwVStatsHook')]
randomness = dict(seed=42)  # ReferFormer's
