"""Pipeline steps that mmcv and mmdet have no counterpart for."""

from .check_object import RequireVisibleObject
from .clip_sampling import RVOSClipSample
from .flip_expression import FlipExpression
from .formatting import PackRVOSInputs
from .loading import LoadRVOSMasks
from .photometric import PhotoMetricDistortionUint8
from .resize import ResizeByArea

__all__ = [
    'FlipExpression',
    'LoadRVOSMasks',
    'PackRVOSInputs',
    'PhotoMetricDistortionUint8',
    'RVOSClipSample',
    'RequireVisibleObject',
    'ResizeByArea',
]
