# Stage 2 of the experiment: IFIRVOS from the small ReferFormer, with gates that start at zero.
_base_ = './scratch.py'
load_from = 'work_dirs/warm_start_synth/referformer/iter_400.pth'
model = dict(
    vli=dict(lewv=dict(gate=True)),
    decoder=dict(layer_cfg=dict(ifi_cfg=dict(gate=True))),
)
default_hooks = dict(hand_over=dict(allow_missing=[r'vli[.]lewv[.]', r'decoder[.]layers[.]\d+[.]ifi[.]']))
