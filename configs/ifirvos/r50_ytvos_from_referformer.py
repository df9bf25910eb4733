# r50_ytvos.py without stage 1: the paper's fine-tuning from the published weights of ReferFormer's pre-training on
# RefCOCO/+/g. LEwV and IFI are scaled by gates that start at zero (ours, off in the paper's configs), so that the first
# forward is bit-identical to ReferFormer's (docs/training.md).
_base_ = './r50_ytvos.py'
load_from = 'referformer-r50-refcoco'
model = dict(
    positional_encoding=dict(padding_encoding='reference'),  # on padding too, of which training has much
    vli=dict(lewv=dict(gate=True)),
    decoder=dict(layer_cfg=dict(ifi_cfg=dict(gate=True))),
)
default_hooks = dict(hand_over=dict(allow_missing=[r'vli[.]lewv[.]', r'decoder[.]layers[.]\d+[.]ifi[.]']))
