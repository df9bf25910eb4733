# Stage 1 of the small model: single frames, and only the kinds of sentence that one frame can tell (the paper's
# pre-training on pictures). Then: r18_synth.py
_base_ = [
    '../_base_/models/ifirvos_r18_small.py',
    '../_base_/datasets/synth_rvos_pretrain.py',
    '../_base_/schedules/synth.py',
    '../_base_/iter_runtime.py',
]
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=dict(query_pos=False))))  # there are no other frames
