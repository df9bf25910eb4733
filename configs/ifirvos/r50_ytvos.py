# The paper's main model on Ref-YouTube-VOS (Table 1).
_base_ = [
    '../_base_/models/ifirvos_r50.py',
    '../_base_/datasets/ref_youtube_vos.py',
    '../_base_/schedules/ytvos_6e.py',
    '../_base_/default_runtime.py',
]

# The masks of the official validation set are not public. Where you have masks, drop these three lines.
val_dataloader = None
val_evaluator = None
val_cfg = None
