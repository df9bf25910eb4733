# Stage 1 of the small model: single frames, and only the kinds of sentences that one frame can answer (as the paper's
# pre-training on images). Next: r18_synth.py
_base_ = [
    '../_base_/models/ifirvos_r18_small.py',
    '../_base_/datasets/synth_rvos_pretrain.py',
    '../_base_/schedules/synth.py',
    '../_base_/iter_runtime.py',
]
# BatchNorm is trained per GPU. Buffers are broadcast from the first process, as with DistributedDataParallel's
# defaults, so that all use the running statistics that the checkpoint holds; mmengine's default keeps those of every
# process.
model_wrapper_cfg = dict(type='MMDistributedDataParallel')
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=dict(query_pos=False))))  # no other frames at T=1
