"""Prepares a checkpoint for publication: float16 weights, the full config, and a card.

    python tools/model_converters/publish_model.py IN CONFIG OUT [--dtype float16] [--card KEY=VALUE …]

Optimiser, schedulers and log buffers are removed. The same input gives the same bytes.
"""

import argparse
import io
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ifirvos_cli.common import main_of, output_path, tool_arguments

DTYPES = ('float16', 'bfloat16', 'float32')


def card_entry(text: str) -> tuple[str, str]:
    """``KEY=VALUE`` -> (key, value)."""
    key, equals, value = text.partition('=')
    if not key or not equals:
        raise argparse.ArgumentTypeError(f'{text!r} is not KEY=VALUE')
    return key, value


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, metavar='IN', help='a checkpoint of tools/train.py')
    parser.add_argument('config', type=Path, metavar='CONFIG', help='the config it was trained with')
    parser.add_argument('target', type=output_path, metavar='OUT', help='the file to write')
    parser.add_argument('--dtype', choices=DTYPES, default='float16')
    parser.add_argument('--card', nargs='+', type=card_entry, default=[], metavar='KEY=VALUE', help='entries of meta')
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

import torch
from mmengine.registry import DefaultScope
from torch import Tensor

from ifirvos.checkpoint import load_checkpoint, load_strictly
from ifirvos.config import need, read_config
from ifirvos.errors import CheckpointError, InputError
from ifirvos.files import check_file, write_whole
from ifirvos.models.text_encoder import without_weights
from ifirvos.registry import MODELS

# A few kilobytes, and variances may lie outside the range of float16.
KEPT_IN_FULL = ('running_mean', 'running_var')
KEPT_META = ('epoch', 'iter', 'seed', 'run_info')


def convert(state_dict: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the floating-point tensors in ``dtype``; integers and running statistics as they are.

    Raises:
        CheckpointError: a value does not fit into ``dtype``, or is not finite to begin with.
    """
    converted = {}
    for name, tensor in state_dict.items():
        keeps_dtype = not tensor.is_floating_point() or name.endswith(KEPT_IN_FULL)
        converted[name] = tensor.detach().to(tensor.dtype if keeps_dtype else dtype, copy=True).contiguous()
        if not converted[name].isfinite().all():
            raise CheckpointError(f'{name} is not finite in {converted[name].dtype}; try another --dtype.')
    return converted


def publish(
    source: Path, config: Path, target: Path, dtype: str = 'float16', card: Mapping[str, str] | None = None
) -> None:
    """Write ``target``, whole or not at all, after loading it into the config's model.

    Args:
        source: A Runner's checkpoint, or a bare state dict.
        config: The config that it was trained with.
        target: The file to write.
        dtype: One of ``DTYPES``.
        card: Further entries of ``meta``: text by name.

    Raises:
        FileNotFoundError: no such checkpoint or config.
        CheckpointError: the checkpoint cannot be read safely, or does not fit the config or ``dtype``.
        ValueError: ``target`` is ``source``, or the card uses a name that is taken.
    """
    card = dict(card or {})
    if target.resolve() == source.resolve():
        raise InputError(f'{target} is the checkpoint itself: choose another OUT, or training cannot go on from it.')
    if taken := {'config_text', 'dtype', *KEPT_META} & set(card):
        raise InputError(f'The card may not set {sorted(taken)}: these are taken from the checkpoint.')
    check_file(target)
    checkpoint, cfg = load_checkpoint(source), read_config(config)
    need(cfg, ('model',), config)
    known = checkpoint.get('meta') or {}
    meta = {name: known[name] for name in KEPT_META if name in known}
    published = dict(
        meta=dict(config_text=cfg.pretty_text, dtype=dtype, **meta, **card),
        state_dict=convert(checkpoint['state_dict'], getattr(torch, dtype)),
    )
    model = dict(cfg.model)
    if model.get('text_encoder'):
        model['text_encoder'] = without_weights(model['text_encoder'])  # the checkpoint has them
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')):
        load_strictly(MODELS.build(model), published, str(source), str(config))
    content = io.BytesIO()  # torch.save would write the name of a file into it
    torch.save(published, content)
    write_whole(target, content.getvalue())


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    args = parse_args(argv)
    publish(args.source, args.config, args.target, args.dtype, dict(args.card))
    print(f'{args.target}: {args.target.stat().st_size / 1e6:.1f} MB, {args.dtype}')


if __name__ == '__main__':
    sys.exit(main_of(main))
