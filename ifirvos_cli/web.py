"""A web page that segments the objects that sentences refer to in uploaded videos.

    ifirvos web [--host 127.0.0.1] [--port 7860] [--weights FILE] [--config FILE]

Only this machine can open it, unless --host is set: then anybody who can reach the port can use the model.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .common import (
    USER_ERROR,
    add_model_options,
    check_model_options,
    model_options,
    positive_int,
    run_command,
    whole_number,
)

try:
    import fcntl
except ImportError:  # Windows: what a killed server left stays
    fcntl = None

# Name -> default, meaning; those of ifirvos.webdemo.job.Limits, which takes seconds to import.
LIMITS = dict(
    megabytes=(100, 'largest upload'),
    seconds=(60, 'longest video'),
    frames=(1800, 'most frames of a video'),
    pixels=(1920 * 1080, 'most pixels of a frame'),
    sentences=(8, 'most sentences at once'),
    characters=(300, 'longest sentence'),
    results=(50, 'most results that are kept, the oldest go first'),
    disk=(2000, 'most megabytes of results and uploads'),
)


PREFIX = 'ifirvos-webdemo-'
OWNER = 'server'  # file in the folder that a running server has locked


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line; every limit is an option."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on (127.0.0.1: this machine only)')
    parser.add_argument('--port', type=whole_number, help='default: 7860, or the next that is free')
    add_model_options(parser)
    parser.add_argument('--device', help='as for infer')
    for name, (default, text) in LIMITS.items():
        parser.add_argument(
            f'--max-{name}', type=positive_int, default=default, metavar='N', help=f'{text} ({default})'
        )
    args = parser.parse_args(argv)
    check_model_options(parser, args)
    return args


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold the lock that says that a server runs in a folder, also to servers in other containers."""
    if fcntl is None:
        yield
        return
    with open(folder / f'{OWNER}.new', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.replace(folder / f'{OWNER}.new', folder / OWNER)  # it is never there without its lock
        yield


def remove_leftovers(parent: Path) -> None:
    """Remove the folders of servers that were killed before they could; of this user's only, and of no running one."""
    if fcntl is None:
        return
    for folder in parent.glob(f'{PREFIX}*'):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with open(folder / OWNER) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # it runs; it is being made just now; it is somebody else's
            continue


def run(args: argparse.Namespace) -> int:
    """Serve until it is interrupted; return the exit code."""
    options = model_options(args)

    from ifirvos.inference.inferencer import RVOSInferencer
    from ifirvos.webdemo.job import Limits

    try:
        from ifirvos.webdemo.page import build_page, launch
    except ImportError as error:
        print(f"error: {error}; the page needs Gradio: pip install 'ifirvos[demo]'", file=sys.stderr)
        return USER_ERROR
    limits = Limits(**{name: getattr(args, f'max_{name}') for name in LIMITS})
    remove_leftovers(Path(tempfile.gettempdir()))
    # Ctrl-C, and SIGTERM, which a service manager sends and run_command turns into the like: Gradio closes its server,
    # and the block removes what visitors left.
    with suppress(KeyboardInterrupt), tempfile.TemporaryDirectory(prefix=PREFIX) as folder, owned(Path(folder)):
        inferencer = RVOSInferencer(**options, device=args.device, show_progress=False)
        launch(build_page(inferencer, Path(folder), limits), args.host, args.port, limits)
    return 0


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Serve until it is interrupted; return the exit code, 2 where an input is at fault."""
    args = parse_args(argv, prog)
    return run_command(lambda: run(args), args.offline)
