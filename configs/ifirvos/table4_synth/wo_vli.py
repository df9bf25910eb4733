_base_ = './full.py'  # row 3: inter-frame interaction only
model = dict(vli=None)
