_base_ = '../r18_synth.py'  # not in the paper: the words' own pooling joins LEwV's through a weight that starts at zero
model = dict(vli=dict(lewv=dict(text_gate=True)))
