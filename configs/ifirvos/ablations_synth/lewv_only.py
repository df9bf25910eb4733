_base_ = '../r18_synth.py'  # not in the paper: VEwL off
model = dict(vli=dict(vewl=None))
