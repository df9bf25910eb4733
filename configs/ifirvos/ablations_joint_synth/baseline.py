_base_ = '../r18_synth_joint.py'  # row 1: neither module
model = dict(vli=None, decoder=dict(layer_cfg=dict(ifi_cfg=None)))
