# The main model on MeViS, with the recipe of Ref-YouTube-VOS (ours: the paper has none). Evaluated on valid_u, whose
# masks are public; a submission for valid: docs/data.md.
_base_ = [
    '../_base_/models/ifirvos_r50.py',
    '../_base_/datasets/mevis.py',
    '../_base_/schedules/ytvos_6e.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/r50_refcoco_pretrain/epoch_10.pth'
