_base_ = '../r18_synth.py'  # not in the paper: LEwV off, the queries start at the pooled text
model = dict(vli=dict(lewv=None))
