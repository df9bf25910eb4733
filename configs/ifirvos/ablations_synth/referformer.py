_base_ = '../r18_synth.py'  # ReferFormer: VEwL alone, no IFI (its loss weights are those of the small model anyway)
model = dict(vli=dict(lewv=None), decoder=dict(layer_cfg=dict(ifi_cfg=None)))
