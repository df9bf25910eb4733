# Ref-DAVIS17, for evaluation only, with weights trained on Ref-YouTube-VOS as in the literature.
# data_root holds the downloads, DAVIS/ and davis_text_annotations/, or the copy in Ref-YouTube-VOS's layout.
dataset_type = 'RefDAVIS17Dataset'
data_root = 'data/ref_davis17/'
clip_keys = ('video_id', 'video_length', 'text', 'exp_id', 'kind', 'obj_id', 'annotator')

# Masks are loaded after the resize, so they keep their original size.
test_pipeline = [
    dict(type='RVOSClipSample', mode='all', collect_video_keys=clip_keys),
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='ReferenceResize', scale=(640, 360)),
            dict(type='LoadRVOSMasks'),
        ],
    ),
    # mask_path: the metric needs the label map with all objects and void.
    dict(type='PackRVOSInputs', clip_keys=(*clip_keys, 'ori_video_length'), meta_keys=('mask_path',)),
]

test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='valid',
        verbatim=True,  # as in the reference code when testing on whole videos
        pipeline=test_pipeline,
    ),
)
test_evaluator = dict(type='RefDAVISMetric')
