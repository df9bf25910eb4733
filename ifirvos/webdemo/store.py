"""The results that the page keeps for open sessions, limited in number and disk space. Independent of Gradio."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ifirvos.errors import InputError

from .job import Job


class Store:
    """The last result of every session. If there are too many or they are too large, the oldest are removed.

    Thread-safe.

    Args:
        jobs: Folder of the results, with a subfolder for each.
        uploads: Folder of the visitors' uploads, and of the copies that Gradio serves.
        most: Largest number of results.
        megabytes: Largest size of results and uploads together.
    """

    def __init__(self, jobs: Path, uploads: Path, most: int, megabytes: int) -> None:
        self._jobs, self._uploads = jobs, uploads
        self._most, self._bytes = most, megabytes * 10**6
        self._kept: OrderedDict[str, Job] = OrderedDict()
        self._running: dict[str, bool] = {}  # session -> whether it was asked to stop
        self._own = set(uploads.iterdir()) if uploads.is_dir() else set()  # the page's own examples
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, session: str | None) -> Job | None:
        """Return the result of a session; None if it has been removed."""
        with self._lock:
            return self._kept.get(session or '')

    def run(self, session: str, segment: Callable[[Path, Callable[[], None]], Job]) -> Job:
        """Make a result, and keep it instead of the session's last one.

        Args:
            session: The session's hash.
            segment: Makes the result in a new folder. It has to call its second argument regularly, which raises if
                the session was closed or asked to stop.

        Raises:
            InputError: The session was closed or asked to stop; its files are removed. Or nothing can be written.
        """
        with self._lock:
            if session in self._running:
                raise InputError('A request of this page is running already: wait for it, or stop it.')
            self._running[session] = False
        folder = None
        try:
            folder = self._new_folder()
            job = segment(folder, lambda: self._check(session))
            self._check(session)
            with self._lock:
                old = self._kept.pop(session, None)
                self._kept[session] = job
            if old is not None:
                old.remove()
            return job
        except BaseException:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            with self._lock:
                del self._running[session]
            self.trim(session)  # also of what was refused

    def _new_folder(self) -> Path:
        try:
            self._jobs.mkdir(parents=True, exist_ok=True)  # a cleaner of /tmp may have removed it
            return Path(tempfile.mkdtemp(dir=self._jobs))
        except OSError as error:
            raise InputError('This server cannot write the result.') from error

    def _check(self, session: str) -> None:
        if self._running.get(session):
            raise InputError('Stopped.')

    def stop(self, session: str) -> bool:
        """Stop the running request of a session after its current window; return whether there is one."""
        with self._lock:
            if session not in self._running:
                return False
            self._running[session] = True
            return True

    def close(self, session: str) -> None:
        """End a session: stop its running request and remove its result."""
        with self._lock:
            self.stop(session)
            job = self._kept.pop(session, None)
        if job is not None:
            job.remove()

    def trim(self, newest: str = '') -> None:
        """Remove the oldest results, then the oldest uploads, until both limits hold.

        The result of session ``newest`` stays, and up to twice the limit uploads of the last minute, whose request may
        be about to begin.
        """
        with self._lock:
            while len(self._kept) > self._most or (self._size() > self._bytes and len(self._kept) > 1):
                session = next(iter(self._kept))
                if session == newest:
                    break
                self._kept.pop(session).remove()
            if self._size() <= self._bytes:
                return
            folders = sorted(set(self._uploads.iterdir()) - self._own, key=_modified)
            for folder in folders:
                size, is_new = self._size(), _modified(folder) > _now(self._uploads) - 60
                if size <= self._bytes or (is_new and size <= 2 * self._bytes):
                    break
                shutil.rmtree(folder, ignore_errors=True)

    def trim_regularly(self, seconds: float = 5.0) -> None:
        """Trim until the folder of the server is gone: uploads that are sent by hand tell nobody."""

        def work() -> None:
            while self._uploads.parent.is_dir():
                with suppress(OSError):  # removed meanwhile
                    self.trim()
                time.sleep(seconds)

        threading.Thread(target=work, name='trim', daemon=True).start()

    def _size(self) -> int:
        return sum(map(_bytes_below, (self._jobs, self._uploads)))


def _bytes_below(folder: Path) -> int:
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterable[int]:
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # removed meanwhile
                yield os.lstat(os.path.join(root, name)).st_size


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _now(folder: Path) -> float:
    """Return the current time by the clock of a folder's file system."""
    with tempfile.NamedTemporaryFile(dir=folder.parent) as file:
        return _modified(Path(file.name))
