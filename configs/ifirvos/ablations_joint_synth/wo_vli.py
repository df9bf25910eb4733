_base_ = '../r18_synth_joint.py'  # Table 4, row 3: inter-frame interaction only
model = dict(vli=None)
