"""Downloads the weights of models, once, into the cache: ``ifirvos download NAME …``.

They go to $IFIRVOS_HOME, or the user's cache; their tokenizers go to the Hugging Face cache. IFIRVOS_MIRROR is another
base URL, or a folder.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .common import run_command


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('name', nargs='+', help='names listed by `ifirvos models`')
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    """Download one after the other, with the tokenizers; print the files."""
    from ifirvos.inference.model_index import find_entry
    from ifirvos.inference.zoo import download

    for name in args.name:
        print(download(name))
        _fetch_tokenizer(find_entry(name)['Config'])


def _fetch_tokenizer(config: str) -> None:
    """Fill the Hub's cache with the tokenizer of a config, which its model needs beside the weights."""
    import torch

    from ifirvos.config import load_config
    from ifirvos.errors import ModelError
    from ifirvos.inference.model_index import shipped
    from ifirvos.models.text_encoder import RobertaTextEncoder, without_weights
    from ifirvos.registry import MODELS

    encoder = without_weights(load_config(shipped(config)).model.text_encoder)
    if not Path(RobertaTextEncoder._resolve(encoder['name'])).is_dir():
        try:
            with torch.device('meta'):  # half a gigabyte that is not needed
                built = MODELS.build(encoder)
            built.tokenizer  # noqa: B018
        except ModelError as error:
            print(f'note: {error}', file=sys.stderr)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line; return the exit code."""
    args = parse_args(argv, prog)
    return run_command(lambda: run(args))
