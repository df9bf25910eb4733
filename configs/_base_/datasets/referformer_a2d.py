# A2D-Sentences exactly as in ReferFormer's datasets/a2d.py, T=5 (_base_/datasets/referformer_protocol.py).
_base_ = ['./a2d_sentences.py', './referformer_protocol.py']
train_pipeline = [
    *_base_.train_pipeline[:3],
    _base_.flip_expression,
    _base_.distort_colours,
    _base_.train_pipeline[5],
    _base_.require_object,
    _base_.train_pipeline[-1],
]
# Two clips per GPU in training, one in testing: the reference code tests two, padded to the larger one.
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
