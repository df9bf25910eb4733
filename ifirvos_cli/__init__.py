"""The command ``ifirvos``, with one module per sub-command.

A package of its own, because importing ``ifirvos`` registers all classes, which takes seconds, and ``ifirvos --help``
or a mistyped option should answer at once. At module level, only the standard library is imported here; sub-commands
import what they need when they run.
"""

import argparse
import importlib
from collections.abc import Sequence
from importlib import metadata

# Sub-command -> what it does, as `ifirvos --help` prints it; the module of the same name does it.
COMMANDS = {
    'infer': 'segment the objects that sentences refer to in a video',
    'demo': 'demonstrate the small model on a rendered clip, or on your video',
    'web': 'segment videos in a web page',
    'models': 'list the models: training data, results, weights',
    'download': 'download the weights of a model',
    'train': 'train a config',
    'test': 'evaluate a checkpoint',
    'synth': 'generate the benchmark SynthRVOS',
    'doctor': 'check a data set before training',
    'env': 'check the installation',
    'mmdet': "run one of MMDetection's tools",
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the sub-command and what follows it."""
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog='ifirvos',
        usage='ifirvos [--help] [--version] COMMAND …',
        description='Referring video object segmentation: IFIRVOS (BIFIT) and ReferFormer on MMDetection.',
        epilog='commands:\n'
        + ''.join(f'  {name:{width}}  {text}\n' for name, text in COMMANDS.items())
        + '\n"ifirvos COMMAND --help" lists the options of a command; --debug shows the traceback of an error.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=_version())
    parser.add_argument('command', metavar='COMMAND', choices=COMMANDS, help='see below')
    parser.add_argument('rest', nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _version() -> str:
    try:
        return metadata.version('ifirvos')
    except metadata.PackageNotFoundError:
        return 'not installed'


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command.

    Returns:
        Its exit code; 2, after one line on stderr, where an input is at fault.
    """
    from .common import reported

    args = parse_args(argv)
    module = importlib.import_module(f'{__name__}.{args.command}')
    rest = [argument for argument in args.rest if argument != '--debug']
    return reported(lambda: module.main(rest, prog=f'ifirvos {args.command}'), '--debug' in args.rest)
