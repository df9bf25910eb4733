"""SynthRVOS: a procedural benchmark of referring video object segmentation; numpy and OpenCV only."""

from .absent import ABSENT, NO_OBJECT
from .clip import GENERATOR_VERSION, SPLITS, Clip, make_clip
from .expressions import KINDS, Expression
from .render import GroundTruth, draw_frames, ground_truth
from .sampling import PAIR_KINDS
from .scene import Scene, SceneObject, reverse

__all__ = [
    'ABSENT',
    'GENERATOR_VERSION',
    'KINDS',
    'NO_OBJECT',
    'PAIR_KINDS',
    'SPLITS',
    'Clip',
    'Expression',
    'GroundTruth',
    'Scene',
    'SceneObject',
    'draw_frames',
    'ground_truth',
    'make_clip',
    'reverse',
]
