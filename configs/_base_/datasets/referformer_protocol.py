# Steps of ReferFormer's pipelines that are not those of _base_/datasets/*.py, letter by letter as in its code
# (datasets/transforms_video.py, inference_ytvos.py, inference_davis.py there); a leaf puts them where they belong.
# What each of them does to the figures is not known.
flip_expression = dict(type='FlipExpression', swap='substrings')
distort_colours = dict(
    type='TransformBroadcaster', transforms=[dict(type='PhotoMetricDistortionUint8', overflow='wrap')]
)
require_object = dict(type='RequireVisibleObject', presence='box')
# Whole videos are tested at a short side of 360 whatever the long one; single frames at 640 at most, as in training.
load_video_frames = dict(
    type='TransformBroadcaster',
    transforms=[
        dict(type='LoadImageFromFile'),
        dict(type='ReferenceResize', scale=(None, 360)),
        dict(type='LoadRVOSMasks'),
    ],
)
