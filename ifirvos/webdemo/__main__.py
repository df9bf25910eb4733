"""A web page that segments in uploaded videos what sentences refer to.

    python -m ifirvos.webdemo [--host 127.0.0.1] [--port 7860] [--weights FILE] [--config FILE]

Only this machine can open it, unless --host says otherwise: then anybody who reaches the port can use the model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from .job import Limits

HELP = dict(
    megabytes='largest upload',
    seconds='longest video',
    frames='most frames of a video',
    pixels='most pixels of a frame',
    sentences='most sentences at once',
    characters='longest sentence',
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; every limit is an option."""
    parser = argparse.ArgumentParser(
        prog='python -m ifirvos.webdemo', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on (127.0.0.1: this machine only)')
    parser.add_argument('--port', type=int, help='default: 7860, or the next that is free')
    parser.add_argument('--config', help='as for tools/infer.py')
    parser.add_argument('--weights', help='as for tools/infer.py')
    parser.add_argument('--device', help='as for tools/infer.py')
    for field in fields(Limits):
        text = f'{HELP[field.name]} ({field.default})'
        parser.add_argument(f'--max-{field.name}', type=int, default=field.default, metavar='N', help=text)
    args = parser.parse_args(argv)
    for field in fields(Limits):
        if getattr(args, f'max_{field.name}') < 1:
            parser.error(f'--max-{field.name} must be at least 1')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until it is interrupted; returns the exit code, 2 where an input is at fault."""
    args = parse_args(argv)
    limits = Limits(**{field.name: getattr(args, f'max_{field.name}') for field in fields(Limits)})
    with tempfile.TemporaryDirectory(prefix='ifirvos-webdemo-') as folder:
        try:
            from .page import build_page, launch
        except ImportError as error:
            print(f"error: {error}; the page needs Gradio: pip install -e '.[demo]'", file=sys.stderr)
            return 2
        from ifirvos.errors import CheckpointError, InputError
        from ifirvos.inference.inferencer import RVOSInferencer

        try:
            inferencer = RVOSInferencer(args.config, args.weights, args.device, show_progress=False)
        except (CheckpointError, InputError, OSError) as error:
            print(f'error: {error}', file=sys.stderr)
            return 2
        launch(build_page(inferencer, Path(folder), limits), args.host, args.port, limits)
    return 0


if __name__ == '__main__':
    sys.exit(main())
