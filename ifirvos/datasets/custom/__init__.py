"""Conversion of your own annotations to the layout of Ref-YouTube-VOS."""

from .conversion import ConversionReport, convert, read_sentences
from .readers import FORMATS, find_format, read_annotations
from .video import CustomObject, CustomVideo

__all__ = [
    'FORMATS',
    'ConversionReport',
    'CustomObject',
    'CustomVideo',
    'convert',
    'find_format',
    'read_annotations',
    'read_sentences',
]
