"""A web page that segments in uploaded videos what sentences refer to.

    ifirvos web [--host 127.0.0.1] [--port 7860] [--weights FILE] [--config FILE]

Only this machine can open it, unless --host says otherwise: then anybody who reaches the port can use the model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .common import USER_ERROR, run_command

# Name -> default, meaning; those of ifirvos.webdemo.job.Limits, which takes seconds to import.
LIMITS = dict(
    megabytes=(100, 'largest upload'),
    seconds=(60, 'longest video'),
    frames=(1800, 'most frames of a video'),
    pixels=(1920 * 1080, 'most pixels of a frame'),
    sentences=(8, 'most sentences at once'),
    characters=(300, 'longest sentence'),
)


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line; every limit is an option."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on (127.0.0.1: this machine only)')
    parser.add_argument('--port', type=int, help='default: 7860, or the next that is free')
    parser.add_argument('--config', help='as for infer')
    parser.add_argument('--weights', help='as for infer')
    parser.add_argument('--device', help='as for infer')
    for name, (default, text) in LIMITS.items():
        parser.add_argument(f'--max-{name}', type=int, default=default, metavar='N', help=f'{text} ({default})')
    args = parser.parse_args(argv)
    for name in LIMITS:
        if getattr(args, f'max_{name}') < 1:
            parser.error(f'--max-{name} must be at least 1')
    return args


def run(args: argparse.Namespace) -> int:
    """Serve until it is interrupted; return the exit code."""
    from ifirvos.inference.inferencer import RVOSInferencer
    from ifirvos.webdemo.job import Limits

    try:
        from ifirvos.webdemo.page import build_page, launch
    except ImportError as error:
        print(f"error: {error}; the page needs Gradio: pip install 'ifirvos[demo]'", file=sys.stderr)
        return USER_ERROR
    limits = Limits(**{name: getattr(args, f'max_{name}') for name in LIMITS})
    with tempfile.TemporaryDirectory(prefix='ifirvos-webdemo-') as folder:
        inferencer = RVOSInferencer(args.config, args.weights, args.device, show_progress=False)
        launch(build_page(inferencer, Path(folder), limits), args.host, args.port, limits)
    return 0


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Serve until it is interrupted; return the exit code, 2 where an input is at fault."""
    args = parse_args(argv, prog)
    return run_command(lambda: run(args))
