"""The classes in the models of the shipped configs. Written by tools/build_config_types.py; do not edit.

The config in a checkpoint may name no others (``plain_config.py``).
"""

MODEL_TYPES = frozenset(
    {
        'AlignedGIoULoss',
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
