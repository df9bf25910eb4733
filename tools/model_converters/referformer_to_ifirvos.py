"""Converts an official ReferFormer checkpoint into one that loads strictly into configs/referformer/*.py.

    python tools/model_converters/referformer_to_ifirvos.py SRC DST [--report REPORT.json]

Prints what became of every key; exits with 1, and writes nothing, if one is left over.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ifirvos_cli.common import main_of, tool_arguments


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', type=Path, help='official checkpoint (.pth)')
    parser.add_argument('dst', type=Path, help='where to write ours')
    parser.add_argument('--report', type=Path, help='also write the report there, as json')
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

import torch
from torch import Tensor

from ifirvos.checkpoint import load_checkpoint
from ifirvos.errors import InputError, UserError, one_line
from ifirvos.files import written_whole

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

# The same tensors under a second name (box refinement), and buffers: of older transformers, of a Video Swin.
ALIAS = re.compile(r'transformer\.decoder\.(bbox_embed\..+)')
DROPPED = re.compile(r'text_encoder\.embeddings\.position_ids|backbone\.0\.body\..+\.relative_position_index')
BODY = 'backbone.0.body.'


class ConversionError(InputError):
    """The source is not the checkpoint that the converter knows."""


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
    return {name.removeprefix('module.'): tensor for name, tensor in checkpoint.items()}


def convert(checkpoint: Mapping) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Official checkpoint -> our state dict, and for every official key what became of it.

    Raises:
        ConversionError: A key is unknown, or an alias differs from the tensor it stands for.
    """
    from mmdet.models.backbones.swin import swin_converter  # after ifirvos, without which mmcv.ops may not import

    source = state_dict_of(checkpoint)
    if odd := [name for name, tensor in source.items() if not isinstance(tensor, Tensor)]:
        raise ConversionError(
            f'{odd[0]} is a {type(source[odd[0]]).__name__}, not a tensor: no state dict is in the file'
        )
    converted, report = {}, {}
    patches = source.get(f'{BODY}patch_embed.proj.weight')
    image_swin = patches is not None and patches.ndim == 4
    for name, tensor in source.items():
        alias = ALIAS.fullmatch(name)
        if DROPPED.fullmatch(name):
            report[name] = 'dropped (a constant)'
        elif alias:
            if alias[1] not in source or not torch.equal(source[alias[1]], tensor):
                raise ConversionError(f'{name} differs from {alias[1]}, which it should share its tensor with')
            report[name] = f'alias of {alias[1]}'
        elif image_swin and name.startswith(BODY):
            # mmdet's names, and its order of the channels that a patch merging reads
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


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    args = parse_args(argv)
    try:
        converted, report = convert(load_checkpoint(args.src))
    except ConversionError as error:
        print(f'not converted: {one_line(error)}', file=sys.stderr)
        return 1
    except UserError as error:
        print(f'error: {one_line(error)}', file=sys.stderr)
        return 2
    for name, ours in report.items():
        print(f'{name} -> {ours}')
    with written_whole(args.dst) as part:
        torch.save(dict(meta=dict(source=args.src.name), state_dict=converted), part)
    if args.report:
        args.report.write_text(json.dumps(report, indent=1))
    print(f'{len(converted)} tensors of {len(report)} keys written to {args.dst}')
    return 0


if __name__ == '__main__':
    sys.exit(main_of(main))
