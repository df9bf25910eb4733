_base_ = '../r18_synth_joint.py'  # Table 4, row 1: neither module
model = dict(vli=None, decoder=dict(layer_cfg=dict(ifi_cfg=None)))
