"""Recognises and converts checkpoints of the official ReferFormer code.

A training checkpoint of theirs is ``dict(model=…, optimizer=…, lr_scheduler=…, epoch=…, args=Namespace)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .errors import CheckpointError

# Official name -> ours. The first pattern that matches the whole name decides.
RENAMES: list[tuple[str, str]] = [
    # ReferFormer takes a Video Swin's downsampling out of its stages
    (r'backbone\.0\.body\.downsamples\.(\d)\.(.+)', r'backbone.layers.\1.downsample.\2'),
    (r'backbone\.0\.body\.(.+)', r'backbone.\1'),
    (r'text_encoder\.(.+)', r'text_encoder.model.\1'),
    (r'resizer\.fc\.(.+)', r'text_projection.fc.\1'),
    (r'resizer\.layer_norm\.(.+)', r'text_projection.norm.\1'),
    (r'input_proj\.([0-2])\.0\.(.+)', r'neck.convs.\1.conv.\2'),
    (r'input_proj\.([0-2])\.1\.(.+)', r'neck.convs.\1.gn.\2'),
    (r'input_proj\.3\.0\.(.+)', r'neck.extra_convs.0.conv.\1'),
    (r'input_proj\.3\.1\.(.+)', r'neck.extra_convs.0.gn.\1'),
    (r'fusion_module\.multihead_attn\.(.+)', r'vli.vewl.interaction.attn.\1'),
    (r'query_embed\.weight', r'query_embedding.weight'),
    (r'transformer\.level_embed', r'level_embed'),
    (r'transformer\.reference_points\.(.+)', r'reference_points_fc.\1'),
    # encoder layers
    (r'transformer\.(encoder\.layers\.\d+)\.self_attn\.(.+)', r'\1.self_attn.\2'),
    (r'transformer\.(encoder\.layers\.\d+)\.norm1\.(.+)', r'\1.norms.0.\2'),
    (r'transformer\.(encoder\.layers\.\d+)\.norm2\.(.+)', r'\1.norms.1.\2'),
    # decoder layers: self-attention -> norm2, cross-attention -> norm1, FFN -> norm3
    (r'transformer\.(decoder\.layers\.\d+)\.self_attn\.(.+)', r'\1.self_attn.attn.\2'),
    (r'transformer\.(decoder\.layers\.\d+)\.cross_attn\.(.+)', r'\1.cross_attn.\2'),
    (r'transformer\.(decoder\.layers\.\d+)\.norm2\.(.+)', r'\1.norms.0.\2'),
    (r'transformer\.(decoder\.layers\.\d+)\.norm1\.(.+)', r'\1.norms.1.\2'),
    (r'transformer\.(decoder\.layers\.\d+)\.norm3\.(.+)', r'\1.norms.2.\2'),
    (r'transformer\.((?:en|de)coder\.layers\.\d+)\.linear1\.(.+)', r'\1.ffn.layers.0.0.\2'),
    (r'transformer\.((?:en|de)coder\.layers\.\d+)\.linear2\.(.+)', r'\1.ffn.layers.1.\2'),
    # heads
    (r'class_embed\.(\d+)\.(.+)', r'bbox_head.cls_branches.\1.\2'),
    (r'bbox_embed\.(\d+)\.layers\.0\.(.+)', r'bbox_head.reg_branches.\1.0.\2'),
    (r'bbox_embed\.(\d+)\.layers\.1\.(.+)', r'bbox_head.reg_branches.\1.2.\2'),
    (r'bbox_embed\.(\d+)\.layers\.2\.(.+)', r'bbox_head.reg_branches.\1.4.\2'),
    (r'controller\.(.+)', r'bbox_head.controller.\1'),
    # pixel decoder: official 1..4 are strides 4..32
    (r'pixel_decoder\.adapter_(\d)\.norm\.(.+)', r'pixel_decoder.lateral_convs.{\1}.gn.\2'),
    (r'pixel_decoder\.adapter_(\d)\.weight', r'pixel_decoder.lateral_convs.{\1}.conv.weight'),
    (r'pixel_decoder\.layer_(\d)\.norm\.(.+)', r'pixel_decoder.fpn_convs.{\1}.gn.\2'),
    (r'pixel_decoder\.layer_(\d)\.weight', r'pixel_decoder.fpn_convs.{\1}.conv.weight'),
    (r'pixel_decoder\.cross_attn_(\d)\.self_attn\.(.+)', r'pixel_decoder.blocks.{\1}.self_attn.\2'),
    (r'pixel_decoder\.cross_attn_(\d)\.multihead_attn\.(.+)', r'pixel_decoder.blocks.{\1}.cross_attn.\2'),
    (r'pixel_decoder\.cross_attn_(\d)\.linear1\.(.+)', r'pixel_decoder.blocks.{\1}.ffn.layers.0.0.\2'),
    (r'pixel_decoder\.cross_attn_(\d)\.linear2\.(.+)', r'pixel_decoder.blocks.{\1}.ffn.layers.1.\2'),
    (r'pixel_decoder\.cross_attn_(\d)\.norm1\.(.+)', r'pixel_decoder.blocks.{\1}.norms.0.\2'),
    (r'pixel_decoder\.cross_attn_(\d)\.norm2\.(.+)', r'pixel_decoder.blocks.{\1}.norms.1.\2'),
    (r'pixel_decoder\.cross_attn_(\d)\.norm3\.(.+)', r'pixel_decoder.blocks.{\1}.norms.2.\2'),
    (r'pixel_decoder\.mask_features\.(.+)', r'pixel_decoder.mask_features.\1'),
]
# Buffers that hold no knowledge, of any model: counters, and indices that follow from the model's shape. They may be
# absent or extra wherever weights are loaded; the model keeps its own.
NO_KNOWLEDGE = re.compile(r'(.+[.])?(num_batches_tracked|position_ids|token_type_ids|relative_position_index)')
# The same tensors under a second name (box refinement).
ALIAS = re.compile(r'transformer\.decoder\.(bbox_embed\..+)')
BODY = 'backbone.0.body.'
# Names that a ReferFormer's state dict has, and ours has not.
SIGNATURE = ('transformer.level_embed', 'resizer.fc.weight', 'query_embed.weight', 'pixel_decoder.mask_features.weight')

# What the code calls a backbone (``args.backbone``) -> what our configs' names begin with.
BACKBONES = dict(
    resnet50='r50',
    resnet101='r101',
    swin_t_p4w7='swin_t',
    swin_l_p4w7='swin_l',
    video_swin_t_p4w7='video_swin_t',
    video_swin_s_p4w7='video_swin_s',
    video_swin_b_p4w7='video_swin_b',
)
# (dimensions of a patch's kernel, channels, blocks of the third stage) of a Swin -> the same.
SWINS = {
    (4, 96, 6): 'swin_t',
    (4, 192, 18): 'swin_l',
    (5, 96, 6): 'video_swin_t',
    (5, 96, 18): 'video_swin_s',
    (5, 128, 18): 'video_swin_b',
}
# ``args.dataset_file`` -> what the configs' names end with; all of a backbone have the same weights.
TRAINED_ON = {
    'ytvos': 'ytvos',
    'davis': 'davis17',
    'joint': 'ytvos_joint',
    'a2d': 'a2d',
    'jhmdb': 'jhmdb',
    'all': 'refcoco_pretrain',
    'refcoco': 'refcoco_pretrain',
    'refcoco+': 'refcoco_pretrain',
    'refcocog': 'refcoco_pretrain',
}
FOLDER = 'configs/referformer'


class ConversionError(CheckpointError):
    """The source is not a checkpoint that the converter knows."""


@dataclass(frozen=True)
class Origin:
    """Information in an official checkpoint.

    Attributes:
        args: Its arguments, empty where the file has none.
        backbone: As its tensors have it, 'r50' …; None for one that is not in the official zoo.
        summary: One line about the conversion.
        report: What became of every official key, see :func:`convert`.
    """

    args: dict[str, Any]
    backbone: str | None
    summary: str
    report: dict[str, str] = field(default_factory=dict)


def rename(name: str) -> str | None:
    """Official name -> ours, or None if it is not known."""
    for pattern, ours in RENAMES:
        match = re.fullmatch(pattern, name)
        if match:
            return re.sub(r'\{(\d)\}', lambda level: str(int(level[1]) - 1), match.expand(ours))
    return None


def state_dict_of(checkpoint: Mapping) -> Mapping[str, Tensor]:
    """Return the state dict inside ``{'model': …}``, ``{'state_dict': …}`` or the bare one."""
    for key in ('state_dict', 'model', 'state_dict'):
        if isinstance(checkpoint.get(key), Mapping):
            checkpoint = checkpoint[key]
    return {str(name).removeprefix('module.'): tensor for name, tensor in checkpoint.items()}


def is_official(checkpoint: Mapping) -> bool:
    """Whether a file's content has the names of ReferFormer's code, whatever it is wrapped in."""
    names = state_dict_of(checkpoint).keys()
    return sum(name in names for name in SIGNATURE) >= 2


def convert(checkpoint: Mapping) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Official checkpoint -> our state dict, and for every official key what became of it.

    Raises:
        ConversionError: A key is unknown, or an alias differs from the tensor it stands for.
    """
    from mmdet.models.backbones.swin import swin_converter  # after ifirvos, without which mmcv.ops may not import

    source = state_dict_of(checkpoint)
    if not source:
        raise ConversionError('it holds no weights')
    if odd := [name for name, tensor in source.items() if not isinstance(tensor, Tensor)]:
        raise ConversionError(
            f'{odd[0]} is a {type(source[odd[0]]).__name__}, not a tensor: no state dict is in the file'
        )
    converted, report = {}, {}
    patches = source.get(f'{BODY}patch_embed.proj.weight')
    image_swin = patches is not None and patches.ndim == 4
    for name, tensor in source.items():
        alias = ALIAS.fullmatch(name)
        if NO_KNOWLEDGE.fullmatch(name):
            report[name] = 'dropped (a constant)'
        elif alias:
            if alias[1] not in source or not torch.equal(source[alias[1]], tensor):
                raise ConversionError(f'{name} differs from {alias[1]}, which it should share its tensor with')
            report[name] = f'alias of {alias[1]}'
        elif image_swin and name.startswith(BODY):
            # mmdet's names, and its order of the channels that a patch merging reads
            report[name] = 'dropped (the classifier of ImageNet)'  # all that mmdet's converter leaves out
            for ours, ordered in swin_converter({name.removeprefix(BODY): tensor}).items():
                converted[ours] = ordered
                report[name] = ours
        elif ours := rename(name):
            converted[ours] = tensor
            report[name] = ours
        else:
            report[name] = 'UNKNOWN'
    unknown = [name for name, ours in report.items() if ours == 'UNKNOWN']
    if unknown:
        raise ConversionError(f'{len(unknown)} keys are not of a ReferFormer: {", ".join(unknown[:10])}')
    return converted, report


def convert_checkpoint(checkpoint: Mapping, source: str) -> dict:
    """Official checkpoint -> one of ours, in memory; optimizer and schedule are left out.

    Args:
        checkpoint: The file's content.
        source: The file's name, for messages.

    Returns:
        dict with ``state_dict``, ``meta`` (plain data) and ``origin``, an :class:`Origin`.

    Raises:
        ConversionError: As :func:`convert`.
    """
    try:
        converted, report = convert(checkpoint)
    except ConversionError as error:
        raise ConversionError(f'{source} has names of a ReferFormer, but is none that is known: {error}') from error
    args = checkpoint.get('args') or {}
    args = dict(args) if isinstance(args, Mapping) else dict(vars(args))
    args = {key: value for key, value in args.items() if isinstance(key, str)}
    if args.get('with_box_refine') is False:
        # The same names and shapes, but another decoder: every layer reads at the first reference points.
        raise ConversionError(
            f'{source} was trained without --with_box_refine: this model refines boxes, as the paper does'
        )
    backbone = backbone_of(state_dict_of(checkpoint))
    kinds = [ours.split(' ')[0] for ours in report.values()]
    trained = f', trained on {args["dataset_file"]}' if 'dataset_file' in args else ''
    summary = (
        f'{source} is a checkpoint of the official ReferFormer code ({backbone or "unknown backbone"}{trained}): '
        f'{len(converted)} of its {len(report)} tensors are loaded; {kinds.count("alias")} are the same under a second '
        f'name, {kinds.count("dropped")} are constants.'
    )
    meta = dict(source=source, referformer=dict(backbone=backbone, **_plain(args)))
    return dict(state_dict=converted, meta=meta, origin=Origin(args, backbone, summary, report))


def _plain(args: Mapping) -> dict[str, Any]:
    """Return the arguments that say what was trained on what."""
    wanted = ('dataset_file', 'num_frames', 'num_queries', 'binary', 'with_box_refine')
    return {key: args[key] for key in wanted if isinstance(args.get(key), str | int | float)}


def backbone_of(names: Mapping[str, Tensor]) -> str | None:
    """Return the backbone that official weights have, by their names and shapes; None for none of the zoo's."""
    patches = names.get(f'{BODY}patch_embed.proj.weight')
    if patches is not None:
        blocks = _count(names, rf'{re.escape(BODY)}layers\.2\.blocks\.(\d+)\..+')
        return SWINS.get((patches.ndim, patches.shape[0], blocks))
    if f'{BODY}layer1.0.conv3.weight' not in names:
        return None
    return {6: 'r50', 23: 'r101'}.get(_count(names, rf'{re.escape(BODY)}layer3\.(\d+)\..+'))


def _count(names: Mapping[str, Tensor], pattern: str) -> int:
    return len({match[1] for name in names if (match := re.fullmatch(pattern, name))})


def config_of(origin: Origin, source: str) -> str:
    """Return the config that fits an official checkpoint, as a path below the repository.

    The tensors tell the backbone, the arguments what it was trained on; without arguments it is Ref-YouTube-VOS, whose
    test pipeline is that for any video: the models of a backbone are all the same.

    Raises:
        CheckpointError: The backbone is not in the official zoo, arguments and tensors differ, or the arguments name a
            data set that is not known; the message lists the candidates.
    """
    said = origin.args.get('backbone')
    claimed = BACKBONES.get(said, said) if isinstance(said, str) else None
    if origin.backbone is None:
        found = sorted(f'{FOLDER}/{name}_ytvos.py' for name in BACKBONES.values())
        reason = f'its backbone{f" {said!r}" if said else ""} is none of the official models'
    elif claimed not in (None, origin.backbone):
        found = [f'{FOLDER}/{name}_ytvos.py' for name in (origin.backbone, claimed) if name in BACKBONES.values()]
        reason = f'its arguments say backbone={said!r}, but its tensors are those of {origin.backbone}'
    else:
        trained = origin.args.get('dataset_file', 'ytvos')
        suffix = TRAINED_ON.get(trained) if isinstance(trained, str) else None
        if suffix is not None:
            # Not every backbone has a config for every data set; that of Ref-YouTube-VOS has the same model.
            return f'{FOLDER}/{origin.backbone}_{suffix}.py'
        found = sorted({f'{FOLDER}/{origin.backbone}_{name}.py' for name in TRAINED_ON.values()})
        reason = f'its arguments say dataset_file={trained!r}, which is not known'
    raise CheckpointError(
        f'Which config fits {source} is not clear: {reason}. Candidates: {", ".join(found)}. '
        'Name one: --config FILE (model=FILE).'
    )
