# A2D-Sentences letter by letter as in ReferFormer's datasets/a2d.py, T=5 (_base_/datasets/referformer_protocol.py).
_base_ = ['./a2d_sentences.py', './referformer_protocol.py']
train_pipeline = [
    *_base_.train_pipeline[:3],
    _base_.flip_expression,
    _base_.distort_colours,
    _base_.train_pipeline[5],
    _base_.require_object,
    _base_.train_pipeline[-1],
]
# Two clips a GPU in training. Testing takes them one by one: the reference's batches of two are padded to the larger.
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
