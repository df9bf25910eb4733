"""What the sub-commands share."""

import argparse
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
