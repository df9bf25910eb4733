_base_ = './full.py'  # row 2: vision-language interaction only
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=None)))
