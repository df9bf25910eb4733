"""What the sub-commands share."""

import argparse
import os
import sys
from collections.abc import Callable

USER_ERROR = 2  # exit code where an input is at fault


class DictAction(argparse.Action):
    """mmengine's ``--cfg-options KEY=VALUE …``, imported only when the option is used."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Add the pairs to the dict of the option."""
        without = [value for value in values if '=' not in value]
        if without:
            parser.error(f'{option_string} takes KEY=VALUE, not {without[0]!r}')
        from mmengine.config import DictAction as MMEngineDictAction

        MMEngineDictAction(self.option_strings, self.dest)(parser, namespace, values, option_string)


def go_offline() -> None:
    """Forbid the network; the hub's client reads its variable when it is imported, so this comes before everything."""
    os.environ.update(IFIRVOS_OFFLINE='1', HF_HUB_OFFLINE='1')


def add_model_options(parser: argparse._ActionsContainer) -> None:
    """Add what names a model, its weights and its tokenizer; :func:`model_options` reads it."""
    parser.add_argument('--model', metavar='NAME', help='a model by name (ifirvos models); default: the shipped one')
    parser.add_argument('--config', help='config file; default: the one inside --weights, or that fits them')
    parser.add_argument(
        '--weights', help="checkpoint, also one of the official ReferFormer code; default: that of the model's name"
    )
    parser.add_argument(
        '--text-encoder', metavar='FOLDER', help='with the files of the tokenizer, for machines without a network'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help='changes of the config'
    )
    parser.add_argument('--offline', action='store_true', help='touch no network')


def model_options(args: argparse.Namespace) -> dict:
    """Return the options of :func:`add_model_options` as arguments of ``RVOSInferencer``; act on ``--offline``."""
    if args.offline:
        go_offline()
    return dict(
        model=args.model or args.config,
        weights=args.weights,
        text_encoder=args.text_encoder,
        cfg_options=args.cfg_options,
    )


def run_command(run: Callable[[], int | None]) -> int:
    """Run the body of a sub-command.

    Returns:
        What it returns, 0 for None; 2, after one line on stderr, where an input is at fault.
    """
    from ifirvos.allocator import keep_freed_memory
    from ifirvos.errors import CheckpointError, InputError, VideoError

    keep_freed_memory()
    try:
        return run() or 0
    except (CheckpointError, InputError, VideoError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return USER_ERROR
