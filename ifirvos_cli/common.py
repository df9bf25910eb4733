"""Options and error handling shared by sub-commands and tools."""

import argparse
import errno
import gc
import math
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from logging import StreamHandler
from pathlib import Path
from typing import TextIO

USER_ERROR = 2  # exit code where an input is at fault
_ENDING = [getattr(signal, name) for name in ('SIGTERM', 'SIGHUP') if hasattr(signal, name)]
# Functions of mmengine that make something of a config.
_BUILDS = re.compile(r'build_|from_cfg$|register_hook|setup_env$|set_randomness$|scale_lr$')


class DictAction(argparse.Action):
    """mmengine's ``--cfg-options KEY=VALUE …``, imported only when the option is used."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Add the pairs to the dict of the option."""
        without = [value for value in values if not value.partition('=')[0].strip(' .') or '=' not in value]
        if without:
            parser.error(f'{option_string} takes KEY=VALUE, not {without[0]!r}')
        from mmengine.config import DictAction as MMEngineDictAction

        try:
            MMEngineDictAction(self.option_strings, self.dest)(parser, namespace, values, option_string)
        except AssertionError as error:  # brackets without their other half
            parser.error(f'{option_string}: {error}')


def positive_number(text: str) -> float:
    """Return the value of an option that must be above 0 and finite, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f'{text} is not a number above 0')
    if not 1e-9 <= value <= 1e12:  # sizes and times that are computed from it would overflow
        raise argparse.ArgumentTypeError(f'{text} is not from 1e-9 to 1e12')
    return value


def finite_number(text: str) -> float:
    """Return the value of an option that must be finite, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f'{text} is not a number')
    return value


def positive_int(text: str) -> int:
    """Return the value of an option that must be a whole number above 0, for argparse."""
    if not (_is_whole(text) and int(text)):
        raise argparse.ArgumentTypeError(f'{text} is not a whole number above 0')
    return int(text)


def whole_number(text: str) -> int:
    """Return the value of an option that must be a whole number from 0, for argparse."""
    if not _is_whole(text):
        raise argparse.ArgumentTypeError(f'{text} is not a whole number from 0')
    return int(text)


def seed_number(text: str) -> int:
    """Return the value of an option that seeds NumPy, for argparse."""
    if not (_is_whole(text) and int(text) < 2**32):
        raise argparse.ArgumentTypeError(f'{text} is not a whole number from 0 to {2**32 - 1}')
    return int(text)


def output_path(text: str) -> Path:
    """Return the value of an option that names what is written, for argparse.

    ``--out "$RESULTS"`` with a variable that is not set would write into the current folder.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError('the name is empty')
    return Path(text)


def split_name(spec: str) -> tuple[str, str]:
    """Split ``[NAME=][CONFIG,]PATH`` into the name and the rest; a path that is there may have a '='."""
    name, _, rest = spec.partition('=')
    return ('', spec) if '=' not in spec.partition(',')[0] or Path(spec).exists() else (name, rest)


def is_missing(*paths: str | Path | None) -> bool:
    """Return whether a path does not exist, and say so in one line: a typing error need not wait for the imports."""
    for path in paths:
        if path is not None and not os.path.lexists(path):
            print_line(f'error: No such file or folder: {str(path)!r}', sys.stderr)
            return True
    return False


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19  # fits into 64 bits


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add what changes a config: arguments of :func:`ifirvos.config.load_config`."""
    parser.add_argument('--data-root', type=Path, help='data folder, in place of every data_root of the config')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, help='KEY=VALUE overrides')
    parser.add_argument(
        '--allow-unknown', action='store_true', help='let --cfg-options set a key that the config does not have'
    )


def add_data_limits(parser: argparse.ArgumentParser) -> None:
    """Add the limits of annotation files and frames; :func:`set_data_limits` acts on them."""
    parser.add_argument('--max-json-bytes', type=positive_int, metavar='N', help='largest json file; default: 2 GiB')
    parser.add_argument('--max-video-frames', type=positive_int, metavar='N', help='of a video; default: 100,000')
    parser.add_argument('--max-pixels', type=positive_int, metavar='N', help='of a frame or mask; default: 100 million')


def set_data_limits(args: argparse.Namespace) -> None:
    """Set the limits of :func:`add_data_limits`, for worker processes too; before the modules that read them."""
    for name in ('max_json_bytes', 'max_video_frames', 'max_pixels'):
        if getattr(args, name) is not None:
            os.environ[f'IFIRVOS_{name.upper()}'] = str(getattr(args, name))


def go_offline() -> None:
    """Forbid the network; the hub's client reads its variable when it is imported, so this comes before everything."""
    os.environ.update(IFIRVOS_OFFLINE='1', HF_HUB_OFFLINE='1')


def is_offline() -> bool:
    """Return whether the environment forbids the network, as ifirvos.inference.zoo does."""
    return os.environ.get('IFIRVOS_OFFLINE', '').lower() in ('1', 'true', 'yes', 'on')


def add_model_options(parser: argparse._ActionsContainer) -> None:
    """Add what names a model, its weights and its tokenizer; :func:`model_options` reads it."""
    parser.add_argument('--model', metavar='NAME', help='name of a model (ifirvos models); default: r18_synth_fine')
    parser.add_argument('--config', help='config file; default: the one inside --weights, or that fits them')
    parser.add_argument(
        '--weights', help="checkpoint, also one of the official ReferFormer code; default: that of the model's name"
    )
    parser.add_argument(
        '--text-encoder', metavar='FOLDER', help='folder with tokenizer files, for machines without a network'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help='changes of the config'
    )
    parser.add_argument('--offline', action='store_true', help='do not use the network')


def check_model_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with the parser's error where the options of :func:`add_model_options` contradict each other."""
    if args.config and not args.weights:
        parser.error('--config needs --weights: the model would be random')
    if args.model and args.config:
        parser.error('--model and --config name the same thing twice')


def model_options(args: argparse.Namespace) -> dict:
    """Return the options of :func:`add_model_options` as arguments of ``RVOSInferencer``, but for ``--offline``."""
    return dict(
        model=args.model or args.config,
        weights=args.weights,
        text_encoder=args.text_encoder,
        cfg_options=args.cfg_options,
    )


def run_command(run: Callable[[], int | None], offline: bool = False) -> int:
    """Run the body of a command that computes.

    Args:
        run: The body.
        offline: Forbid the network before anything is imported.

    Returns:
        See :func:`reported`.
    """
    ask_for_huge_pages()
    if offline:
        go_offline()

    with uncollected():
        from ifirvos.allocator import keep_freed_memory

    keep_freed_memory()
    return reported(run)


def ask_for_huge_pages() -> None:
    """Let torch ask Linux for pages of 2 MiB: a large tensor then faults in 500 times less often.

    Torch reads the variable when it first allocates. Who has set it is left alone.
    """
    os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')


@contextmanager
def uncollected() -> Iterator[None]:
    """Import and build without the garbage collector, which would look at all that is there again and again.

    That is a tenth of a start. Cycles that are left behind are found by the first collection after it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def reported(run: Callable[[], int | None], debug: bool | None = None) -> int:
    """Run the body of a command and report what a user can mend; nothing is imported before it runs.

    Args:
        run: The body.
        debug: Let errors through with their traceback; None: whether the command line says ``--debug``.

    Returns:
        What it returns, 0 for None; 2, after one line on stderr, where an input is at fault; 130 after Ctrl-C, 143
        after SIGTERM and 129 after SIGHUP, as shells say it, once what was begun is cleared away.
    """
    ask_for_huge_pages()
    if is_offline():
        go_offline()
    try:
        with _terminated_like_interrupted():
            return run() or 0
    except KeyboardInterrupt as stop:
        print_line(': '.join(['stopped', *map(str, stop.args)]), sys.stderr)
        return 128 + (stop.signal if isinstance(stop, Terminated) else signal.SIGINT)
    except SystemExit as stop:
        if not isinstance(stop.code, str):
            raise
        return _fail(stop, debug)
    except ImportError as error:
        if error.name != 'ifirvos':  # see ifirvos.compat, without which errors have no name of ours
            raise
        print_line(f'error: {error}', sys.stderr)
        return USER_ERROR
    except Exception as error:
        if not _is_users(error):
            raise
        return _fail(error, debug)


class Terminated(KeyboardInterrupt):
    """A signal that ends the process: SIGTERM, or SIGHUP, where the connection to a machine breaks."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise, as Ctrl-C does: without, a process ends at once and leaves behind what it began."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Others stay as they are: nohup ignores SIGHUP.
    numbers = [number for number in _ENDING if signal.getsignal(number) == signal.SIG_DFL]
    owner = os.getpid()

    def stop(number: int, frame: object) -> None:
        if os.getpid() != owner:  # a forked worker, which its parent ends in this way
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        raise Terminated(number)

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _is_users(error: Exception) -> bool:
    """Return whether a user can mend it: errors of the package, of files, of the config's syntax, types and options."""
    from ifirvos.errors import UserError

    if isinstance(error, UserError | OSError | UnicodeError) or type(error).__name__ == 'ConfigParsingError':
        return True
    return _is_of_config(error)


def _is_of_config(error: BaseException) -> bool:
    """Return whether a library refuses what the config says: mmengine builds, and the error is raised outside ifirvos.

    That is a type that no registry has, an option that a type does not have, a value that torch does not take.
    """
    if not isinstance(error, LookupError | TypeError | ValueError | AttributeError | AssertionError | RuntimeError):
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    builds = any(
        frame.f_globals.get('__name__', '').startswith('mmengine.') and _BUILDS.match(frame.f_code.co_name)
        for frame in frames
    )
    # An option that a class hands on to the one it inherits from is refused in the class's constructor.
    of_ours = bool(frames) and frames[-1].f_globals.get('__name__', '').split('.')[0] == 'ifirvos'
    handed_on = isinstance(error, TypeError) and '__init__() ' in str(error)
    return builds and (not of_ours or handed_on)


def _fail(error: BaseException, debug: bool | None) -> int:
    from ifirvos.errors import UserError, one_line

    if '--debug' in sys.argv[1:] if debug is None else debug:
        traceback.print_exception(error)
    text = f'error: {one_line(error)}'
    of_config = _is_of_config(error) and not isinstance(error, UserError)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
        text = f'error: {error.strerror}: make room and run the command again; training goes on with --resume'
    if of_config:
        text = f'{text.rstrip(".")}: mend the config or --cfg-options'
        text += ', or import what registers the type with custom_imports' if 'is not in the' in text else ''
    print_line(text, sys.stderr)
    return USER_ERROR


def print_line(text: object, file: TextIO | None = None) -> None:
    """Print on stdout, or a file, with what it cannot encode escaped; that nobody reads it is no error."""
    file = file or sys.stdout
    if file is None:  # closed by who has started us
        return
    encoding = file.encoding or 'utf-8'
    try:
        print(str(text).encode(encoding, 'backslashreplace').decode(encoding), file=file, flush=True)
    except OSError as error:  # a pipe that nobody reads, a terminal that is gone
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())  # or Python complains when it ends


@contextmanager
def logged_to_stderr() -> Iterator[None]:
    """Send what mmengine logs there: stdout is for the result."""
    with uncollected():
        from mmengine.logging import MMLogger

    handlers = [handler for handler in MMLogger.get_current_instance().handlers if type(handler) is StreamHandler]
    before = [handler.stream for handler in handlers]
    for handler in handlers:
        handler.stream = sys.stderr
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            handler.stream = stream


def main_of(main: Callable[[Sequence[str] | None], object]) -> int:
    """Run a tool's ``main`` as a command: see :func:`reported`; ``--debug`` is taken off its command line.

    Args:
        main: Takes the arguments; an integer that it returns is the exit code.
    """

    def run() -> int:
        result = main(tool_arguments())
        return result if isinstance(result, int) else 0

    return reported(run, '--debug' in sys.argv)


def tool_arguments() -> list[str]:
    """Return the arguments of the running tool without ``--debug``, which :func:`main_of` reads."""
    return [argument for argument in sys.argv[1:] if argument != '--debug']
