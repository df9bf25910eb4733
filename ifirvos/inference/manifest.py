"""Manifests: csv or jsonl lists of videos with their sentences and options."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ifirvos.errors import InputError, MissingFileError
from ifirvos.json_files import parse_json, read_regular
from ifirvos.names import slug, unique_slugs
from ifirvos.video.opening import is_url, readable

from .sentences import check_sentences

SEPARATOR = ';'  # between the sentences of a csv's cell, as in make demo TEXT="a; b"
_OPTIONS = dict(fps=float, max_frames=int, score_threshold=float)
COLUMNS = ('video', 'sentences', 'name', *_OPTIONS)


@dataclass(frozen=True)
class Job:
    """One video of a manifest.

    Attributes:
        name: Name of its result folder.
        video: Path or address.
        sentences: What to segment, all together.
        fps: Frame rate of the overlay; None: the video's.
        max_frames: Number of frames to use; None: all.
        score_threshold: Frames with a lower score get no mask; None: off.
    """

    name: str
    video: str
    sentences: tuple[str, ...]
    fps: float | None = None
    max_frames: int | None = None
    score_threshold: float | None = None

    def settings(self) -> dict:
        """Return the settings that determine the result, for json."""
        return {**asdict(self), 'video': self.shown, 'sentences': list(self.sentences)}

    @property
    def shown(self) -> str:
        """The video, an address without its password."""
        return readable(self.video)


def read_manifest(path: str | os.PathLike) -> list[Job]:
    """Read a manifest; the rows of one video with the same options are one job, with all their sentences.

    Args:
        path: A csv with a header, or a jsonl with an object a line. ``video`` is relative to the manifest's folder,
            ``sentences`` are separated by semicolons (csv) or a list (jsonl; a string is one), and ``name``, ``fps``,
            ``max_frames`` and ``score_threshold`` may be there.

    Raises:
        FileNotFoundError: There is no such manifest.
        InputError: A row cannot be read; names its line.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'No such manifest: {path}')
    together: dict[tuple, list[str]] = {}
    for where, row in _rows(path):
        key = _key(row, where, path.parent)
        sentences = together.setdefault(key, [])
        sentences += [text for text in _sentences(row, where) if text not in sentences]
    if not together:
        raise InputError(f'{path} names no video.')
    names = unique_slugs([name or _stem(video) for video, name, *_ in together])
    return [
        Job(name, video, tuple(sentences), *options)
        for name, ((video, _, *options), sentences) in zip(names, together.items(), strict=True)
    ]


def _rows(path: Path) -> Iterator[tuple[str, Mapping]]:
    suffix = path.suffix.lower()
    if suffix not in ('.csv', '.jsonl', '.ndjson'):
        raise InputError(f'{path} is no manifest: it must end in .csv or .jsonl.')
    try:
        text = read_regular(path, what='manifest').decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise InputError(f'{path} is not UTF-8 (byte {error.start:,}): save it as UTF-8.') from error
    yield from _csv_rows(path, text) if suffix == '.csv' else _json_rows(path, text)


def _json_rows(path: Path, text: str) -> Iterator[tuple[str, Mapping]]:
    for number, line in enumerate(text.split('\n'), 1):
        if line.strip():
            where = f'{path}, line {number}'
            try:
                row = parse_json(line.encode(), where)
            except (ValueError, UnicodeError) as error:
                raise InputError(str(error)) from error
            if not isinstance(row, dict):
                raise InputError(f'{where} is a {type(row).__name__}, not an object with "video" and so on.')
            yield where, _checked(row, where)


def _csv_rows(path: Path, text: str) -> Iterator[tuple[str, Mapping]]:
    rows = csv.DictReader(io.StringIO(text, newline=''))
    try:
        names = list(rows.fieldnames or ())
        _checked(dict.fromkeys(names, 'there'), str(path))
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f'{path} has the column {twice[0]!r} twice.')
        for row in rows:
            where = f'{path}, line {rows.line_num}'
            if None in row:
                raise InputError(f'{where} has more fields than the header: put text with commas in quotes.')
            yield where, row
    except csv.Error as error:
        raise InputError(f'{path}, line {rows.line_num} is no csv: {error}.') from error


def _checked(row: Mapping, where: str) -> Mapping:
    unknown = [name for name in row if name not in COLUMNS and name != 'sentence']
    if unknown:
        raise InputError(f'{where} has {unknown[0]!r}, which is not of {", ".join(COLUMNS)}.')
    for name in ('video', 'sentences'):
        if name not in row and not (name == 'sentences' and 'sentence' in row):
            raise InputError(f'{where} has no {name!r}: {", ".join(COLUMNS[:2])} are needed.')
    return row


def _sentences(row: Mapping, where: str) -> list[str]:
    given = row.get('sentences') or row.get('sentence') or ''
    parts = given if isinstance(given, list) else [given]
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f'{where}: a sentence is not a string.')
    if where.rpartition(', line')[0].lower().endswith('.csv'):
        parts = given.split(SEPARATOR)
    texts = [part.strip() for part in parts if part.strip()]
    if not texts:
        raise InputError(f'{where} has no sentence: say what to segment, for example "the red star".')
    try:
        return check_sentences(texts)
    except InputError as error:
        raise InputError(f'{where}: {error}') from error


def _key(row: Mapping, where: str, folder: Path) -> tuple:
    video = str(row['video'] or '').strip()
    if not video:
        raise InputError(f'{where} has no video.')
    try:
        os.fsencode(video)
    except UnicodeEncodeError as error:
        raise InputError(f'{where}: the name of the video is no text: is it written in UTF-8?') from error
    options = []
    for name, kind in _OPTIONS.items():
        given = row.get(name)
        try:
            value = None if given in (None, '') else kind(given)
            cut = isinstance(given, float) and value != given  # a fraction, where a whole number belongs
            if isinstance(given, bool) or cut or not (value is None or math.isfinite(value)):
                raise ValueError
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f'{where}: {name} is {given!r}, not a {"whole " * (kind is int)}number.') from error
        if value is not None and name == 'score_threshold' and value > 1:
            raise InputError(f'{where}: score_threshold is a score, from 0 to 1, not {value}.')
        if value is not None and name != 'score_threshold' and value <= 0:
            raise InputError(f'{where}: {name} must be above 0, not {value}.')
        options.append(value)
    return video if is_url(video) else str((folder / video).absolute()), str(row.get('name') or '').strip(), *options


def _stem(video: str) -> str:
    return slug(Path(readable(video).split('?')[0]).stem)


def shard(jobs: Sequence[Job], index: int, count: int) -> list[Job]:
    """Return the jobs of one of several machines: every ``count``-th, starting with the ``index``-th.

    Raises:
        InputError: There is no such share.
    """
    if not 0 <= index < count:
        raise InputError(f'There is no share {index} of {count}: they count from 0 to {count - 1}.')
    return list(jobs[index::count])


def shard_from_environment(environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Return index and count of this process's share: from a Slurm array or torchrun, else all jobs."""
    if 'SLURM_ARRAY_TASK_ID' in environment:
        first = int(environment.get('SLURM_ARRAY_TASK_MIN', 0))
        step = int(environment.get('SLURM_ARRAY_TASK_STEP', 1))
        return (int(environment['SLURM_ARRAY_TASK_ID']) - first) // step, int(environment['SLURM_ARRAY_TASK_COUNT'])
    if 'RANK' in environment and 'WORLD_SIZE' in environment:
        return int(environment['RANK']), int(environment['WORLD_SIZE'])
    return 0, 1
