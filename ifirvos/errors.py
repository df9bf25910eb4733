"""Errors that a user can fix: each message names the file or option, what is wrong, and what to do.

Command lines print such an error as one line, ``error: …``, and end with exit code 2.
"""

import errno
import re

_FROM_WORKER = re.compile(r'Caught (\w+) in DataLoader worker process \d+\.\nOriginal Traceback')


def _of_worker(text: str) -> str:
    """Return the message of the error whose traceback a worker has handed over."""
    name = _FROM_WORKER.match(text)[1]
    found = list(re.finditer(rf'^(?:[\w.]+\.)?{name}: ', text, re.MULTILINE))
    return text[found[-1].end() :].strip() if found else text


class UserError(Exception):
    """What all of the errors below are: the message is for the user, the traceback is not.

    A worker process of a data loader hands an error over as its traceback in place of its message: here the message is
    the message again, and ``worker_traceback`` the rest.
    """

    worker_traceback = ''

    def __init__(self, *args: object) -> None:
        if args and isinstance(args[0], str) and _FROM_WORKER.match(args[0]):
            self.worker_traceback = args[0]
            args = (_of_worker(args[0]), *args[1:])
        super().__init__(*args)


class OutputExistsError(UserError, FileExistsError):
    """A result exists and must not be overwritten."""


class OutputError(UserError, OSError):
    """A file cannot be written: a full disk, a read-only folder; the message says which file, and why."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that was asked for is not there."""


class InputError(UserError, ValueError):
    """An unusable input; the message says what to use instead."""


class LimitError(InputError):
    """An input is larger than a limit; the message names the limit and the option that raises it."""


class AnnotationError(UserError, ValueError):
    """An annotation file or a mask of a data set is not as it should be; the message names file and entry."""


class VideoError(UserError, ValueError):
    """A video that cannot be read or written; the message says which, and why."""


class DownloadError(UserError, OSError):
    """A file that cannot be downloaded; the message says why, where to get it by hand, and where to put it."""


class WorkerError(UserError, RuntimeError):
    """A process that loads data was ended from outside; the message says what to try."""


class ModelError(UserError, RuntimeError):
    """A text encoder or tokenizer cannot be had, or does not fit; the message says which, and what to set."""


class MissingKeyError(UserError, KeyError):
    """A sample lacks what a metric needs; the message says which transform or config key gives it."""

    __str__ = Exception.__str__  # KeyError would put it into quotes


class CheckpointError(UserError, ValueError):
    """A checkpoint that cannot be read or does not fit its model."""


def one_line(error: BaseException, limit: int = 2000) -> str:
    """Return an error's message on one line, whatever came into it from a file.

    Args:
        error: The error; where it has no message, its class stands in.
        limit: Longer ones are cut to so many characters.
    """
    text = _of_system(error) or str(error) or type(error).__name__
    # What a terminal would obey (control characters, changes of direction) or cannot encode is escaped.
    text = ''.join(c if c.isprintable() else ' ' if c.isspace() else ascii(c)[1:-1] for c in text)
    text = ' '.join(text.split())
    return text if len(text) <= limit else text[:limit] + ' …'


def first_line(error: BaseException, limit: int = 200) -> str:
    """Return the first line of another library's message, to be quoted; its class where there is none."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__).rstrip('.:')[:limit]


# What to do about what the system says of a file: its own words, "[Errno 20] Not a directory", tell nobody.
_ADVICE = {
    errno.ENOENT: 'there is no such file or folder; check the path',
    errno.ENOTDIR: 'a part of the path is a file, not a folder; name another',
    errno.EISDIR: 'it is a folder; name a file',
    errno.EEXIST: 'something of that name is there; name another, or remove it',
    errno.ENAMETOOLONG: 'the name is too long; name another',
    errno.EACCES: 'you may not read or write it; change its permissions, or name another',
    errno.EPERM: 'you may not read or write it; change its permissions, or name another',
    errno.EROFS: 'the disk is read-only; name a place on another',
    errno.ELOOP: 'its links lead round in a circle; name another',
    errno.EFBIG: 'the file would become larger than the system allows',
    errno.ENOSPC: 'the disk is full; make room, and run the command again',
    errno.EDQUOT: 'your share of the disk is used up; make room, and run the command again',
    errno.ENOTEMPTY: 'the folder is not empty; name another',
}


def _of_system(error: BaseException) -> str:
    """Return file, fault and what to do for an error of the system about a file; '' for any other."""
    if isinstance(error, UserError) or not isinstance(error, OSError) or error.filename is None:
        return ''
    advice = _ADVICE.get(error.errno)
    name = error.filename.decode(errors='backslashreplace') if isinstance(error.filename, bytes) else error.filename
    return f'{name}: {advice}.' if advice and name != '' else ''
