"""Transforms that mmcv and mmdet do not have."""

from .check_object import RequireVisibleObject
from .clip_sampling import RVOSClipSample
from .domain import RandomTexture, RandomZoom
from .flip_expression import FlipExpression
from .formatting import PackRVOSInputs
from .loading import LoadRVOSMasks
from .photometric import PhotoMetricDistortionUint8
from .pseudo_video import PseudoVideo
from .resize import ReferenceResize, ResizeByArea
from .video_frames import LoadVideoFrames

__all__ = [
    'FlipExpression',
    'LoadRVOSMasks',
    'LoadVideoFrames',
    'PackRVOSInputs',
    'PhotoMetricDistortionUint8',
    'PseudoVideo',
    'RVOSClipSample',
    'RandomTexture',
    'RandomZoom',
    'ReferenceResize',
    'RequireVisibleObject',
    'ResizeByArea',
]
