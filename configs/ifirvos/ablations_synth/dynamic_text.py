_base_ = '../r18_synth.py'  # Table 5: "Dynamic"
model = dict(vli=dict(text='dynamic'))
