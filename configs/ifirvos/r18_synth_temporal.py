# Our extension, not the paper's: IFI is told the time of every frame, so that "moving left" can be learnt.
_base_ = './r18_synth.py'
model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=dict(temporal_pos='learned'))))
default_hooks = dict(
    hand_over=dict(allow_missing=[r'decoder[.]layers[.]\d+[.]ifi[.]time_projection[.]'])  # stage 1 has none
)
