_base_ = '../r18_synth.py'  # not in the paper: IFI's output scaled by a weight that starts at zero
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=dict(gate=True))))
