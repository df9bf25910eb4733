"""Weights of a named model: included in the package, cached, or downloaded.

Downloads use the standard library, not ``gdown``, so that mirrors, resuming, checks and locking are the same for all
URLs and can be tested with a local server; Google Drive's confirmation page is a form that takes a few lines.
"""

from __future__ import annotations

import errno
import hashlib
import html
import http.client
import json
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mmengine.logging import MMLogger
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from ifirvos.checkpoint import no_weights
from ifirvos.errors import DownloadError, InputError
from ifirvos.files import unfinished, write_whole

from .model_index import find_entry, shipped

BLOCK = 2**20  # bytes at a time
SECONDS = 30  # seconds without data after which a connection counts as broken
TRIES = 4  # each resumes the previous one
WAIT = 1.0  # seconds before the second try, twice as many before each further one
LARGEST_PAGE = 2**20  # bytes of a web page to read
LOCK_SECONDS = 3600  # seconds to wait for another process's download
QUOTA = re.compile(r'quota exceeded|too many users|download quota', re.IGNORECASE)


def cache_dir() -> Path:
    """Return the folder of downloaded weights: below ``$IFIRVOS_HOME``, or the user's cache."""
    if home := os.environ.get('IFIRVOS_HOME'):
        return Path(home).expanduser() / 'weights'
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(cache) / 'ifirvos' / 'weights'


# What comes and goes with a connection; other OSErrors are those of the disk.
_OF_NETWORK = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError)
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.EHOSTDOWN}


def is_offline() -> bool:
    """Whether the environment forbids the network, by ``IFIRVOS_OFFLINE``."""
    return os.environ.get('IFIRVOS_OFFLINE', '').lower() in ('1', 'true', 'yes', 'on')


def address_of(entry: Mapping[str, Any]) -> str | None:
    """Return the URL of a model's weights; None if they are included, or there are none."""
    weights = entry.get('Weights')
    weights = weights[0] if isinstance(weights, list) and weights else weights
    return weights if weights and '://' in weights else None


def place_of(entry: Mapping[str, Any]) -> Path:
    """Return where a model's downloaded weights are, or would be."""
    return cache_dir() / f'{entry["Name"]}.pth'


def download(name: str, offline: bool | None = None, show_progress: bool = True) -> Path:
    """Return a model's weights, downloading them if necessary.

    Args:
        name: Name of a model of the index.
        offline: Do not use the network; None: as set by ``IFIRVOS_OFFLINE``.
        show_progress: Show a bar.

    Raises:
        InputError: No such model, or it has no weights.
        DownloadError: They cannot be downloaded; the message names the URL and where to put the file.
    """
    try:
        entry = find_entry(name)
    except KeyError as error:
        raise InputError(f'{error.args[0]}.') from error
    return local_weights(entry, offline, show_progress)


def local_weights(entry: Mapping[str, Any], offline: bool | None = None, show_progress: bool = True) -> Path:
    """Return the weights of an entry of the index: a shipped file, one in the cache, or one that is downloaded now.

    A file is checked against the SHA-256 of the index, or against that of its first use.

    Args:
        entry: Entry of the index.
        offline: Do not use the network; None: as set by ``IFIRVOS_OFFLINE``.
        show_progress: Show a bar.

    Raises:
        InputError: The model has no weights.
        DownloadError: They cannot be downloaded, or differ from those of the first use.
    """
    weights = entry.get('Weights')
    if not weights:
        raise InputError(
            f'No weights of {entry["Name"]} are published: train them with {entry["Config"]}, or name a checkpoint '
            '(--weights, weights=).'
        )
    address = address_of(entry)
    if address is None:
        return shipped(weights[0] if isinstance(weights, list) else weights)
    place = place_of(entry)
    if place.is_file():  # it gets its name when it is whole; others may hold the lock, or there are no locks
        _check_digest(entry, place)
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f'{place}.lock', timeout=LOCK_SECONDS):
            if not place.is_file():
                _fetch(entry, address, place, is_offline() if offline is None else offline, show_progress)
            _check_digest(entry, place)
    except Timeout as error:
        raise _failure(entry, f'another process has held {place}.lock for {LOCK_SECONDS} seconds') from error
    except DownloadError:
        raise
    except OSError as error:
        raise _failure(entry, _os_reason(error, place)) from error
    return place


# ---------------------------------------------------------------------- from where
def _fetch(entry: Mapping, address: str, place: Path, offline: bool, show_progress: bool) -> None:
    mirror = os.environ.get('IFIRVOS_MIRROR')
    part = unfinished(place)
    if mirror and '://' not in mirror:
        source = Path(mirror).expanduser() / place.name
        if not source.is_file():
            raise _failure(entry, f'the mirror (IFIRVOS_MIRROR) has no {source}')
        shutil.copyfile(source, part)
    elif offline:
        raise _failure(entry, 'it is not in the cache, and the network is not to be used (--offline, IFIRVOS_OFFLINE)')
    else:
        url = f'{mirror.rstrip("/")}/{urllib.parse.quote(place.name)}' if mirror else direct(address)
        if urllib.parse.urlsplit(url).scheme not in ('http', 'https'):
            raise _failure(entry, f'{url} is neither an http nor an https address')
        _download(entry, url, part, show_progress)
    problem = no_weights(part)
    if problem is None and not _begins_like_a_checkpoint(part):
        problem = 'something else than a checkpoint'
    known = _known_digest(entry)
    if problem is None and known is not None and sha256_of(part) != known:
        problem = 'not the file that the index knows: its SHA-256 is another'
    if problem is not None:
        _forget(part)
        raise _failure(entry, f'what came is {problem}')
    with open(part, 'rb+') as file:
        os.fsync(file.fileno())
    os.replace(part, place)
    _notes(part).unlink(missing_ok=True)


def direct(address: str) -> str:
    """Return the direct download URL of a Google Drive URL; others are unchanged."""
    parts = urllib.parse.urlsplit(address)
    if parts.hostname not in ('drive.google.com', 'docs.google.com', 'drive.usercontent.google.com'):
        return address
    found = re.search(r'/d/([\w-]+)', parts.path)
    file_id = found[1] if found else urllib.parse.parse_qs(parts.query).get('id', [''])[0]
    query = urllib.parse.urlencode(dict(id=file_id, export='download', confirm='t'))
    return f'https://drive.usercontent.google.com/download?{query}'


def by_hand(address: str) -> str:
    """Return the URL to open in a browser."""
    url = direct(address)
    if url == address:
        return address
    file_id = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)['id'][0]
    return f'https://drive.google.com/file/d/{file_id}/view'


# ---------------------------------------------------------------------- the transfer
def _download(entry: Mapping, url: str, part: Path, show_progress: bool) -> None:
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not show_progress) as bar:
        task = bar.add_task(entry['Name'], total=None)
        for attempt in range(1, TRIES + 1):
            if attempt > 1:
                time.sleep(WAIT * 2 ** (attempt - 2))
            try:
                if _transfer(entry, url, part, lambda done, total: bar.update(task, completed=done, total=total)):
                    return
                reason = f'the connection broke off after {part.stat().st_size:,} bytes'
            except urllib.error.HTTPError as error:
                with error:
                    if error.code == 416:  # the partial file is not a prefix of the file
                        _forget(part)
                    elif error.code < 500 and error.code != 429:
                        page = error.read(LARGEST_PAGE).decode('utf-8', 'replace')
                        raise _failure(entry, _page_reason(page, f'the server answers {error.code}')) from error
                reason = f'the server answers {error.code}'
            except (OSError, http.client.HTTPException) as error:
                cause = getattr(error, 'reason', None) or error
                of_network = isinstance(error, _OF_NETWORK) or getattr(cause, 'errno', None) in _UNREACHABLE
                if isinstance(error, DownloadError) or not of_network or getattr(cause, 'errno', None) == errno.ENOSPC:
                    raise
                reason = f'{urllib.parse.urlsplit(url).netloc} cannot be reached ({cause})'
        done = f'; {part.stat().st_size:,} bytes are kept, and the next try goes on from there' if part.exists() else ''
        raise _failure(entry, f'{reason}, tried {TRIES} times{done}')


def _transfer(entry: Mapping, url: str, part: Path, progressed, follow: bool = True) -> bool:
    """Download the missing part of a file; return whether it is complete."""
    notes = _read_notes(part)
    have = part.stat().st_size if part.is_file() and notes.get('url') == url else 0
    request = urllib.request.Request(url, headers={'User-Agent': 'ifirvos'})
    if have:
        request.add_header('Range', f'bytes={have}-')
        if notes.get('validator'):
            request.add_header('If-Range', notes['validator'])
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        kind = answer.headers.get_content_type()
        if kind == 'text/html':
            page = answer.read(LARGEST_PAGE).decode('utf-8', 'replace')
            form = _confirmation(page, url) if follow else None
            if form is None:
                raise _failure(entry, _page_reason(page, 'a web page came in place of the file'))
            return _transfer(entry, form, part, progressed, follow=False)
        length = answer.headers.get('Content-Length')
        length = int(length) if length and length.isdecimal() else None
        resumed = answer.status == 206 and _range_start(answer.headers.get('Content-Range')) == have
        if have and not resumed:
            have = 0  # the host cannot resume, or the file has changed
        total = None if length is None else have + length
        free = shutil.disk_usage(part.parent).free
        if length is not None and length > free:
            raise _failure(
                entry, f'it takes {length / 2**20:,.0f} MiB, and {part.parent} has {free / 2**20:,.0f} MiB left'
            )
        validator = answer.headers.get('ETag') or answer.headers.get('Last-Modified')
        write_whole(_notes(part), json.dumps(dict(url=url, validator=validator)))
        with open(part, 'ab' if have else 'wb') as file:
            while True:
                try:
                    block = answer.read(BLOCK)
                except http.client.IncompleteRead as error:
                    block = error.partial
                    file.write(block)
                    return False
                if not block:
                    break
                file.write(block)
                have += len(block)
                progressed(have, total)
    return total is None or have == total


def _range_start(content_range: str | None) -> int | None:
    found = re.match(r'bytes (\d+)-', content_range or '')
    return int(found[1]) if found else None


def _confirmation(page: str, url: str) -> str | None:
    """Return where the form "Google Drive can't scan this file for viruses" leads; None for any other page."""
    form = re.search(r'<form[^>]+id="download-form"[^>]*>(.*?)</form>', page, re.DOTALL)
    if form is None:
        return None
    action = re.search(r'action="([^"]+)"', form[0])
    hidden = re.findall(r'<input[^>]+type="hidden"[^>]+name="([^"]+)"[^>]+value="([^"]*)"', form[1])
    target = urllib.parse.urljoin(url, html.unescape(action[1]) if action else url)
    here, there = urllib.parse.urlsplit(url), urllib.parse.urlsplit(target)
    same_site = here.hostname == there.hostname or (there.hostname or '').endswith('.google.com')
    if there.scheme not in ('http', 'https') or not same_site:
        return None
    query = urllib.parse.urlencode([(name, html.unescape(value)) for name, value in hidden])
    return urllib.parse.urlunsplit((there.scheme, there.netloc, there.path, query, ''))


def _page_reason(page: str, otherwise: str) -> str:
    if QUOTA.search(page):
        return 'too many people have downloaded it lately, and the host gives it to nobody for some hours (its quota)'
    return otherwise


# ---------------------------------------------------------------------- existing files
def _notes(part: Path) -> Path:
    return part.with_name(f'{part.name}.json')


def _read_notes(part: Path) -> dict:
    try:
        notes = json.loads(_notes(part).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _notes(part).unlink(missing_ok=True)


def _begins_like_a_checkpoint(path: Path) -> bool:
    with open(path, 'rb') as file:
        return file.read(2) in (b'PK', b'\x80\x02', b'\x80\x03', b'\x80\x04')  # a zip, or a pickle of older torch


def sha256_of(path: str | os.PathLike) -> str:
    """Return the digest of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _known_digest(entry: Mapping) -> str | None:
    return (entry.get('Metadata') or {}).get('SHA256')


def _check_digest(entry: Mapping, place: Path) -> None:
    """Compare with the index, or with the digest of the first use, which is written down."""
    record, found = place.with_name(f'{place.name}.sha256'), sha256_of(place)
    known, what = _known_digest(entry), 'the SHA-256 of the index'
    if known is None and record.is_file():
        known = next(iter(record.read_text(encoding='utf-8').split()), None)
        what = f'the SHA-256 of its first use, in {record.name}'
    if known is None and os.access(place.parent, os.W_OK):
        with suppress(FileNotFoundError):  # another thread or process notes the same at this moment, and was first
            write_whole(record, f'{found}  {place.name}\n')
        MMLogger.get_current_instance().info('%s has SHA-256 %s, written to %s', place.name, found, record.name)
    elif known not in (None, found):
        raise DownloadError(
            f'{place} does not have {what}: it is damaged, or another file. Remove it and {record.name}; the next use '
            'downloads it anew.'
        )


def _os_reason(error: OSError, place: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f'the disk of {place.parent} is full; IFIRVOS_HOME names another folder'
    return f'{place.parent} cannot be written ({error.strerror or error})'


def _failure(entry: Mapping, reason: str) -> DownloadError:
    return DownloadError(
        f'The weights of {entry["Name"]} cannot be had: {reason}. Open {by_hand(address_of(entry))} in a browser, and '
        f'put the file at {place_of(entry)}.'
    )
