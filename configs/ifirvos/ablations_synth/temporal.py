_base_ = '../r18_synth.py'  # our extension: IFI encodes the time of every frame
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=dict(temporal_pos='learned'))))
