_base_ = '../r18_synth_joint.py'  # both modules, and our extension: IFI encodes the time of every frame
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=dict(temporal_pos='learned'))))
