"""The process's limit of open files, which many sentences reach."""

from ifirvos.errors import LimitError

_SPARE = 256  # open already, or while it runs: libraries, workers, the video


def allow_open_files(count: int) -> None:
    """Raise the limit of open files where so many more would not fit; without one, as on Windows, do nothing.

    Raises:
        LimitError: The system allows fewer.
    """
    try:
        import resource
    except ImportError:
        return
    needed = count + _SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise LimitError(
            f'{count} result files would be open at once, and the system allows {hard} in all (ulimit -Hn): '
            'ask for fewer sentences at a time, or save fewer kinds (--save).'
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
