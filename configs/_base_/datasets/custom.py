# Your own videos, as written by tools/dataset_converters/custom_to_rvos.py (docs/own_data.md): layout, pipelines and
# metric of Ref-YouTube-VOS.
_base_ = './ref_youtube_vos.py'
data_root = 'data/custom/'
num_frames = 5  # T in training, as for ReferFormer's weights

train_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='reference'),
    *_base_.train_pipeline[1:],
]
train_dataloader = dict(
    dataset=dict(data_root=data_root, key_frame_interval=num_frames, pipeline=train_pipeline),
)
# Verbatim sentences are Ref-YouTube-VOS's protocol: what people write begins with capitals, which infer lower-cases.
val_dataloader = dict(dataset=dict(data_root=data_root, verbatim=False))
test_dataloader = val_dataloader
