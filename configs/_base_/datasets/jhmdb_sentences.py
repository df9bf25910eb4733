# JHMDB-Sentences, for evaluation only, with weights trained on A2D-Sentences.
_base_ = './a2d_sentences.py'

dataset_type = 'JHMDBSentencesDataset'
data_root = 'data/jhmdb_sentences/'
num_frames = 5  # T; ReferFormer's default

test_pipeline = [
    dict(type='RVOSClipSample', num_frames=num_frames, mode='window'),
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='ReferenceResize', scale=(640, 360)),
            dict(type='LoadRVOSMasks', reader='jhmdb_mat'),
        ],
    ),
    dict(type='PackRVOSInputs'),
]

train_dataloader = None
val_dataloader = dict(
    dataset=dict(_delete_=True, type=dataset_type, data_root=data_root, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(prefix='jhmdb')
test_evaluator = val_evaluator
