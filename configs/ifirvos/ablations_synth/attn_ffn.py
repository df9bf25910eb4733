_base_ = '../r18_synth.py'  # Table 5: "Attention+FFN"
model = dict(vli=dict(fusion='ffn'))
