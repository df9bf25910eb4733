# Steps of ReferFormer's pipelines that differ from those of _base_/datasets/*.py, exactly as in its code
# (datasets/transforms_video.py, inference_ytvos.py, inference_davis.py), for the leaves to use. How much each one
# changes the results is not known.
flip_expression = dict(type='FlipExpression', swap='substrings')
distort_colours = dict(
    type='TransformBroadcaster', transforms=[dict(type='PhotoMetricDistortionUint8', overflow='wrap')]
)
require_object = dict(type='RequireVisibleObject', presence='box')
# Whole videos are tested with a short side of 360 and no limit on the long side, single frames with at most 640.
load_video_frames = dict(
    type='TransformBroadcaster',
    transforms=[
        dict(type='LoadImageFromFile'),
        dict(type='ReferenceResize', scale=(None, 360)),
        dict(type='LoadRVOSMasks'),
    ],
)
