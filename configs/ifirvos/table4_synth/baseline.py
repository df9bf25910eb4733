_base_ = './full.py'  # row 1: neither module
model = dict(vli=None, decoder=dict(layer_cfg=dict(ifi_cfg=None)))
