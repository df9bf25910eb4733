"""Visualization: drawing functions, and mmengine's visualizer and hook that use them."""

from .attention import WordAttention, attention_of, word_attention
from .drawing import COLORS, draw_caption, draw_contour, draw_mask, font, object_color, shorten
from .explain import explain
from .hook import RVOSVisualizationHook
from .overlay import STYLES, OverlayColors, draw_result, draw_together, overlay_frame
from .sheet import contact_sheet
from .visualizer import PARTS, RVOSVisualizer

__all__ = [
    'COLORS',
    'STYLES',
    'OverlayColors',
    'PARTS',
    'RVOSVisualizationHook',
    'RVOSVisualizer',
    'WordAttention',
    'attention_of',
    'contact_sheet',
    'draw_caption',
    'draw_contour',
    'draw_mask',
    'draw_result',
    'draw_together',
    'overlay_frame',
    'explain',
    'font',
    'object_color',
    'shorten',
    'word_attention',
]
