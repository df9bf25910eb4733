"""Converts an official ReferFormer checkpoint to our format, with the fitting config inside.

    python tools/model_converters/referformer_to_ifirvos.py SRC DST [--config CONFIG] [--report REPORT.json]

Prints a report of every key. If one is left over, or the weights do not fit the config, nothing is written.
Conversion is optional: official checkpoints can be used directly.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ifirvos_cli.common import main_of, output_path, tool_arguments


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', type=Path, help='official checkpoint (.pth)')
    parser.add_argument('dst', type=output_path, help='where to write ours')
    parser.add_argument('--config', type=Path, help='config to write into it; default: the one that fits')
    parser.add_argument('--report', type=output_path, help='also write the report there, as json')
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ifirvos.checkpoint import load_strictly, read_checkpoint
from ifirvos.config import load_config, need
from ifirvos.errors import CheckpointError, InputError, UserError, one_line
from ifirvos.files import check_file, write_whole, written_whole
from ifirvos.inference.loading import official_config
from ifirvos.models.text_encoder import without_weights
from ifirvos.referformer_weights import ConversionError, convert, convert_checkpoint
from ifirvos.registry import MODELS

__all__ = ['ConversionError', 'convert', 'main']


def config_of(path: Path) -> Config:
    """Return a config with what of it inference needs: no file of weights is asked for."""
    config = load_config(path)
    need(config, ('model',), path)
    if not {'text_encoder', 'backbone'} <= config.model.keys():
        raise InputError(f'{path}: its model has no text_encoder or no backbone: name the config of a ReferFormer.')
    config.model.text_encoder = without_weights(config.model.text_encoder)
    config.model.backbone.init_cfg = None
    return config


def check_fits(converted: dict, config: Config, source: Path) -> None:
    """Load the converted weights into the config's model.

    Raises:
        CheckpointError: a tensor is missing, left over, or of another shape.
    """
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmdet')):
        load_strictly(MODELS.build(config.model), converted, str(source), str(config.filename))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    args = parse_args(argv)
    try:
        for path in filter(None, (args.dst, args.report)):
            check_file(path)
        checkpoint = read_checkpoint(args.src)
        converted = convert_checkpoint(checkpoint, args.src.name)
        meta, report = converted['meta'], converted['origin'].report
        try:
            config = config_of(args.config or official_config(converted['origin'], args.src.name))
        except CheckpointError as error:  # it converts, but nothing says which config it is for
            print(f'note: the file will hold no config. {one_line(error)}', file=sys.stderr)
        else:
            meta['config_text'] = config.pretty_text  # before the model is built, which adds to its config
            check_fits(converted, config, args.src)
        with written_whole(args.dst) as part:
            torch.save(dict(meta=meta, state_dict=converted['state_dict']), part)
        if args.report:
            write_whole(args.report, json.dumps(report, indent=1))
    except ConversionError as error:
        print(f'not converted: {args.src}: {one_line(error)}', file=sys.stderr)
        return 1
    except UserError as error:
        print(f'error: {one_line(error)}', file=sys.stderr)
        return 2
    for name, ours in report.items():
        print(f'{name} -> {ours}')
    print(f'{len(converted["state_dict"])} tensors of {len(report)} keys written to {args.dst}')
    return 0


if __name__ == '__main__':
    sys.exit(main_of(main))
