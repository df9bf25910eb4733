_base_ = '../r18_synth.py'  # not in the paper: adds the pooled words to LEwV's, scaled by a weight that starts at zero
model = dict(vli=dict(lewv=dict(text_gate=True)))
