_base_ = '../r18_synth_joint.py'  # row 2: vision-language interaction only
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=None)))
