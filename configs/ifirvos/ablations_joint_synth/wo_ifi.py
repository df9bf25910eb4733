_base_ = '../r18_synth_joint.py'  # Table 4, row 2: vision-language interaction only
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=None)))
