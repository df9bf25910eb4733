# Stage 1 of the small model: single frames, and only the kinds of sentence that one frame can tell (the paper's
# pre-training on pictures). Then: r18_synth.py
_base_ = [
    '../_base_/models/ifirvos_r18_small.py',
    '../_base_/datasets/synth_rvos_pretrain.py',
    '../_base_/schedules/synth.py',
    '../_base_/iter_runtime.py',
]
# Its BatchNorms are trained, on each GPU's own pictures: all go on from the running statistics of the first, which a
# checkpoint holds, as with DistributedDataParallel's defaults. mmengine's would leave every process its own.
model_wrapper_cfg = dict(type='MMDistributedDataParallel')
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=dict(query_pos=False))))  # there are no other frames
