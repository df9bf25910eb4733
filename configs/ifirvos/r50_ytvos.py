# The paper's main model on Ref-YouTube-VOS (Table 1): T=6, 1 clip per GPU, text encoder frozen (paper 4.2; T and
# batch size in _base_/datasets/ref_youtube_vos.py, epochs and learning rates in _base_/schedules/ytvos_6e.py).
_base_ = [
    '../_base_/models/ifirvos_r50.py',
    '../_base_/datasets/ref_youtube_vos.py',
    '../_base_/schedules/ytvos_6e.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/r50_refcoco_pretrain/epoch_10.pth'

# The masks of the official validation set are not public: the submission is written beside the log, and J&F is computed
# if there are masks.
val_evaluator = [dict(type='RVOSMetric', unannotated='skip'), dict(type='SubmissionWriter')]
test_evaluator = val_evaluator
