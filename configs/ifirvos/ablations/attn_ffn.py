_base_ = '../r50_ytvos.py'  # Table 5: "Attention+FFN"
model = dict(vli=dict(fusion='ffn'))
