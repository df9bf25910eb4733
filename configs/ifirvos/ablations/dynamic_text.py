_base_ = '../r50_ytvos.py'  # Table 5: "Dynamic"
model = dict(vli=dict(text='dynamic'))
