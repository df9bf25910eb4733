_base_ = '../r18_synth.py'  # not in the paper: IFI enters through a weight that starts at zero
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=dict(gate=True))))
