_base_ = '../r18_synth.py'  # LEwV as in the paper: without our LayerNorm before the pooling
model = dict(vli=dict(lewv=dict(post_norm=False)))
