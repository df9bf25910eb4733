"""What the shipped configs build a model from, written by tools/build_config_types.py: do not edit.

A checkpoint's own config may name nothing else (``plain_config.py``).
"""

MODEL_TYPES = frozenset(
    {
        'BN',
        'ChannelMapper',
        'ClipBBoxL1Cost',
        'ClipFocalLossCost',
        'ClipIoUCost',
        'ClipMaskFocalLossCost',
        'CrossModalFPN',
        'DiceCost',
        'DiceLoss',
        'FocalLoss',
        'GIoULoss',
        'GN',
        'HungarianAssigner',
        'IFIRVOS',
        'ImageSwinTransformer',
        'L1Loss',
        'RVOSDataPreprocessor',
        'RVOSHead',
        'ResNet',
        'RobertaTextEncoder',
        'VideoSwinTransformer',
        'VisionLanguageInteraction',
    }
)

RESIZE_TYPES = frozenset(
    {
        'ReferenceResize',
        'Resize',
        'ResizeByArea',
    }
)
TEXT_ENCODERS = (
    'roberta-base',
    'synth_tokenizer',
)
