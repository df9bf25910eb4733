_base_ = 'mmdet::_base_/default_runtime.py'
custom_imports = dict(imports=['ifirvos'], allow_failed_imports=False)

default_hooks = dict(
    checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=2),
    # Regular expressions for keys in which load_from may differ from the model; any other difference is an error.
    hand_over=dict(type='HandOverHook', allow_missing=[], allow_unexpected=[], drop=[]),
    # When resuming: says what differs from the checkpoint's config. True: rate and schedule of this config, no momenta.
    resumption=dict(type='ResumeHook', reset_optimizer=False),
    non_finite=dict(type='NonFiniteLossHook'),
    preemption=dict(type='PreemptionHook'),
    curves=dict(type='CurvesHook'),
    visualization=dict(type='RVOSVisualizationHook', draw=False),  # draw=True: in validation and testing
)
# Lists are replaced as a whole: a config that adds a hook repeats these.
custom_hooks = [dict(type='RunInfoHook'), dict(type='LEwVStatsHook')]
vis_backends = [dict(type='LocalVisBackend'), dict(type='OptionalTensorboardVisBackend')]
# No name=: mmengine then creates one per run, so two runs in one process do not share it.
visualizer = dict(_delete_=True, type='RVOSVisualizer', vis_backends=vis_backends)
randomness = dict(seed=42)  # ReferFormer's
