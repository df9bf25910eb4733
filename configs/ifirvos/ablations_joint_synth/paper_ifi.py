_base_ = '../r18_synth_joint.py'  # both modules, IFI as in the paper: without our box_pos and query_pos
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=dict(box_pos=False, query_pos=False))))
