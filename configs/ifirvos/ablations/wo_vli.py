_base_ = '../r50_ytvos.py'  # Table 4, row 3: inter-frame interaction only
model = dict(vli=None)
