"""The parts of the model. Importing this package registers them."""

from .box_iou import AlignedGIoULoss
from .data_preprocessor import RVOSDataPreprocessor
from .dynamic_mask_head import DynamicMaskHead
from .ifi_decoder import IFIDecoderLayer, IFIDeformableDetrTransformerDecoder, InterFrameInteraction
from .ifirvos import IFIRVOS
from .image_swin import ImageSwinTransformer
from .match_costs import ClipBBoxL1Cost, ClipFocalLossCost, ClipIoUCost, ClipMaskFocalLossCost
from .pixel_decoder import CrossModalFPN
from .positional_encoding import MaskedSinePositionalEncoding, SinePositionalEncoding1D
from .rvos_head import RVOSHead
from .text_encoder import RobertaTextEncoder, TextProjection
from .video_swin import VideoSwinTransformer
from .vision_language_interaction import VisionLanguageInteraction

__all__ = [
    'IFIRVOS',
    'AlignedGIoULoss',
    'ClipBBoxL1Cost',
    'ClipFocalLossCost',
    'ClipIoUCost',
    'ClipMaskFocalLossCost',
    'CrossModalFPN',
    'DynamicMaskHead',
    'IFIDecoderLayer',
    'IFIDeformableDetrTransformerDecoder',
    'ImageSwinTransformer',
    'InterFrameInteraction',
    'MaskedSinePositionalEncoding',
    'RVOSDataPreprocessor',
    'RVOSHead',
    'RobertaTextEncoder',
    'SinePositionalEncoding1D',
    'TextProjection',
    'VideoSwinTransformer',
    'VisionLanguageInteraction',
]
