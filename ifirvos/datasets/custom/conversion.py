"""Writes your own videos in the layout of Ref-YouTube-VOS, for the config ``finetune_custom.py``."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

import cv2
import numpy as np

from ifirvos.datasets.records import checked_text
from ifirvos.errors import InputError, MissingFileError, OutputExistsError
from ifirvos.files import check_folder, make_folder, write_whole
from ifirvos.json_files import read_regular
from ifirvos.label_maps import write_palette_png
from ifirvos.names import unique_slugs
from ifirvos.safe_names import shown
from ifirvos.video.reader import VideoReader
from ifirvos.video.sources import IMAGE_SUFFIXES, FolderSource, read_picture

from .label_studio import without_prefix
from .video import CustomVideo, base_name, label_map

JPEG_QUALITY = 95
MOST_OBJECTS = 254  # of a video: 255 means void in DAVIS
CSV_COLUMNS = ('video', 'object', 'sentence')
Sentences = dict[tuple[str, str], list[str]]


@dataclass
class ConversionReport:
    """Summary of a conversion.

    Attributes:
        videos: Videos by split.
        expressions: Sentences by split.
        frames: Frames of all videos.
        from_labels: Objects without a sentence, which get their label as sentence.
        empty: Frames without any mask, which count as frames without the objects.
        shared_pixels: Pixels of several objects, which go to the last.
        notes: What was left out, and why.
    """

    videos: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    expressions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    frames: int = 0
    from_labels: int = 0
    empty: int = 0
    shared_pixels: int = 0
    notes: list[str] = field(default_factory=list)


def read_sentences(path: Path) -> Sentences:
    """Read a csv of sentences: columns ``video``, ``object``, ``sentence``; an object may have several rows.

    Args:
        path: The file. A video is named as in the annotations, with or without its ending; an object by its number
            there (id of the track or region, pixel value of the mask), or by its label if it is unique.

    Raises:
        InputError: A column is missing, or a field is empty.
    """
    try:
        text = read_regular(path, what='list of sentences').decode('utf-8-sig')
        rows = csv.DictReader(io.StringIO(text, newline=''))
        missing = [name for name in CSV_COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise InputError(f'{path} has no column {missing[0]!r}: {", ".join(CSV_COLUMNS)} are needed.')
        sentences: Sentences = defaultdict(list)
        for row in rows:
            video, thing, text = ((row[name] or '').strip() for name in CSV_COLUMNS)
            if not (video and thing and text):
                raise InputError(f'{path}, line {rows.line_num}: video, object or sentence is empty.')
            sentences[base_name(video), thing].append(text)
    except UnicodeDecodeError as error:
        raise InputError(f'{path} is not UTF-8 (byte {error.start:,}): save it as UTF-8.') from error
    except csv.Error as error:
        raise InputError(f'{path}, line {rows.line_num} is no csv: {error}.') from error
    return dict(sentences)


def convert(
    videos: Sequence[CustomVideo],
    frames_root: Path,
    out: Path,
    sentences: Sentences | None = None,
    *,
    val_share: float = 0.2,
    seed: int = 0,
    every: int = 1,
    progress: Callable[[Iterable], Iterable] = iter,
) -> ConversionReport:
    """Write videos as ``out/{train,valid}`` and ``out/meta_expressions``; the folder appears when all is written.

    Args:
        videos: The annotations.
        frames_root: A video file, a folder of frames, or the folder that holds those of all videos.
        out: Folder to create.
        sentences: See :func:`read_sentences`; they replace those of the annotations.
        val_share: Share of the videos for validation, at least one, and not all; 0: none.
        seed: Seed of the choice of validation videos.
        every: Keep every N-th frame; 5 in Ref-YouTube-VOS.
        progress: Wraps the videos, to show a bar.

    Raises:
        OutputExistsError: ``out`` exists.
        FileNotFoundError: The frames of a video are not there.
        InputError: A mask does not fit its frame, a row of the csv names no object, there is nothing to write.
        VideoError: A video cannot be decoded.
    """
    check_folder(out.parent if out.is_file() else out)
    if out.exists():
        raise OutputExistsError(f'{out} exists: remove it, or name another --out.')
    report = ConversionReport()
    used: set[tuple[str, str]] = set()
    videos = [video for video in videos if _has_masks(video, report)]
    _check_names(videos, bool(sentences))
    texts = [_sentences_of(video, sentences or {}, used, report) for video in videos]
    unused = sorted((sentences or {}).keys() - used)
    if unused:
        raise InputError(
            f'{len(unused)} objects of the csv of sentences are not in the annotations, the first: video '
            f'{unused[0][0]!r}, object {unused[0][1]!r}. There is {_known(videos)}.'
        )
    if not videos:
        raise InputError('The annotations hold no video with a mask.')
    splits = _split(len(videos), val_share, seed)
    names = unique_slugs([base_name(video.name) for video in videos])
    make_folder(out.parent)
    parent = Path(tempfile.mkdtemp(prefix='.unfinished-', dir=out.parent))
    stage = parent / out.name  # mkdtemp's own is closed to everybody else
    try:
        stage.mkdir()
        index: dict[str, dict] = {'train': {}, 'valid': {}}
        for video, name, said, split in progress(list(zip(videos, names, texts, splits, strict=True))):
            source = find_frames(frames_root, video, alone=len(videos) == 1)
            kept = _write_video(_fitted(video, source), source, stage / split, name, every, report)
            expressions = {str(number): dict(exp=text, obj_id=str(thing)) for number, (thing, text) in enumerate(said)}
            index[split][name] = dict(expressions=expressions, frames=kept)
            report.videos[split] += 1
            report.expressions[split] += len(expressions)
        for split, entries in index.items():
            if entries:
                path = stage / 'meta_expressions' / split / 'meta_expressions.json'
                write_whole(path, json.dumps(dict(videos=entries), ensure_ascii=False, indent=1))
        os.replace(stage, out)
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    return report


def find_frames(root: Path, video: CustomVideo, alone: bool = False) -> Path | list[Path]:
    """Return the video file, the folder, or the list of images of a video.

    Raises:
        FileNotFoundError: They are not there.
        InputError: The annotations name a file outside ``root``.
    """
    if video.files is not None:
        paths = [_inside(root, name, video) for name in video.files]
        missing = [path for path in paths if not path.is_file()]
        if not missing:
            return paths
        name, listed = base_name(video.name), f'{missing[0]}'
    else:
        name, listed = base_name(video.name), f'{root / Path(video.name).name}'
    if root.is_file():
        return root
    for candidate in (root / Path(video.name).name, root / name):
        if candidate.exists() and candidate != root:
            return candidate if video.files is None or candidate.is_file() else _listed(video, candidate, listed)
    others = ('.json', '.xml')
    found = [p for p in sorted(root.glob('*')) if base_name(p.name) == name and p.suffix.lower() not in others]
    if found:
        return found[0] if video.files is None or found[0].is_file() else _listed(video, found[0], listed)
    if alone and any(path.suffix.lower() in IMAGE_SUFFIXES for path in root.iterdir()):
        return root if video.files is None else _listed(video, root, listed)
    raise FileNotFoundError(
        f'The frames of video {video.name!r} are missing: looked for {listed}, and for {name} as a video file or a '
        f'folder of images in {root} (--frames).'
    )


def _listed(video: CustomVideo, folder: Path, missing: str) -> list[Path]:
    """Return the files that the annotations list elsewhere, by their names in a folder."""
    images = FolderSource(folder).images
    by_stem = {without_prefix(path.stem): path for path in images}
    by_stem |= {path.stem: path for path in images}
    stems = video.stems or [PurePath(file).stem for file in video.files]
    unknown = [stem for stem in stems if stem not in by_stem]
    if unknown or len(set(stems)) < len(stems):
        raise MissingFileError(
            f'The frames of video {video.name!r} are missing: looked for {missing}, and for pictures of the same names '
            f'in {folder}, which has none called {(unknown or stems)[0]} (--frames).'
        )
    return [by_stem[stem] for stem in stems]


def _inside(root: Path, name: str, video: CustomVideo) -> Path:
    if not isinstance(name, str) or '\0' in name:
        raise InputError(f'The annotations of video {video.name!r} name the file {shown(name)}, which can be none.')
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f'The annotations of video {video.name!r} name {name}, which is not in {root}.')
    return path


def _fitted(video: CustomVideo, source: Path | list[Path]) -> CustomVideo:
    """Return the video with its masks at the places of their frames in the source.

    Raises:
        InputError: Names and number of the frames are others than the annotations have.
    """
    stems = video.stems or (video.files and [PurePath(file).stem for file in video.files])
    if stems is None or isinstance(source, list):  # the very files that the annotations list
        return replace(video, stems=None)
    if source.is_dir():
        images = [path.stem for path in FolderSource(source).images]
        place = {stem: number for number, stem in enumerate(images)}
        unknown = [stem for stem in stems if stem not in place]
        if not unknown and len(place) == len(images) and len(set(stems)) == len(stems):
            objects = [
                replace(one, masks={place[stems[frame]]: mask for frame, mask in one.masks.items()})
                for one in video.objects
            ]
            return replace(video, objects=objects, frames=sorted(place[stem] for stem in stems))
        if len(images) != len(stems):
            raise InputError(
                f'Video {video.name!r} has {len(images)} frames in {source}, but {len(stems)} are annotated, and none '
                f'is called {(unknown or stems)[0]}: give the annotated frames, or all with their names.'
            )
    return replace(video, stems=stems)


def _pictures(source: Path | list[Path]) -> Iterator[tuple[np.ndarray | None, Path | None]]:
    """Yield every frame as RGB, or as the path of a JPEG to be copied."""
    if isinstance(source, Path) and source.is_dir():
        source = FolderSource(source).images
    if isinstance(source, Path):
        yield from ((frame, None) for frame in VideoReader(source))
        return
    for path in source:
        if path.suffix.lower() in ('.jpg', '.jpeg'):
            yield None, path
            continue
        yield cv2.cvtColor(read_picture(path), cv2.COLOR_BGR2RGB), None


def _write_video(
    video: CustomVideo, source: Path | list[Path], split: Path, name: str, every: int, report: ConversionReport
) -> list[str]:
    """Write the frames and masks of a video; returns the names of the frames."""
    pictures, masks = split / 'JPEGImages' / name, split / 'Annotations' / name
    pictures.mkdir(parents=True)
    masks.mkdir(parents=True)
    last, kept = max(frame for one in video.objects for frame in one.masks), []
    number = -1
    for number, (frame, path) in enumerate(_pictures(source)):
        if (video.frames is not None and number not in video.frames) or _place(video, number) % every:
            continue
        file = pictures / f'{number:05d}.jpg'
        if path is not None:
            frame = read_picture(path)
            shutil.copyfile(path, file)
        else:
            coded = cv2.imencode(
                '.jpg', cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            )
            file.write_bytes(coded[1].tobytes())
        labels, shared = label_map(video, number, frame.shape[:2])
        report.shared_pixels += shared
        report.empty += not labels.any()
        write_palette_png(masks / f'{number:05d}.png', labels)
        kept.append(f'{number:05d}')
    if number < last:
        raise InputError(
            f'Video {video.name!r} has {number + 1} frames, but frame {last} (from 0) was annotated: these are not the '
            'frames that were annotated.'
        )
    if video.stems is not None and isinstance(source, Path) and source.is_file() and number + 1 != len(video.stems):
        raise InputError(
            f'Video {video.name!r} has {number + 1} frames, but {len(video.stems)} are annotated: which ones is not '
            'known. Give them as a folder of images with the names that the annotations have.'
        )
    report.frames += len(kept)
    return kept


def _place(video: CustomVideo, number: int) -> int:
    """Return the place of a frame among those that were annotated."""
    return number if video.frames is None else video.frames.index(number)


def _has_masks(video: CustomVideo, report: ConversionReport) -> bool:
    if len(video.objects) > MOST_OBJECTS:
        raise InputError(f'Video {video.name!r} has {len(video.objects)} objects; a mask file holds {MOST_OBJECTS}.')
    if any(one.masks for one in video.objects):
        return True
    report.notes.append(f'video {video.name!r} has no mask and is left out')
    return False


def _check_names(videos: Sequence[CustomVideo], with_csv: bool) -> None:
    """Raise an InputError if two videos would get the same frames, or the same sentences of the csv."""
    seen: dict[str, str] = {}
    for video in videos:
        if with_csv or video.files is None:
            name = base_name(video.name)
            if name in seen:
                raise InputError(f'Two videos are called {name}: {seen[name]!r} and {video.name!r}. Rename one.')
            seen[name] = video.name


def _sentences_of(
    video: CustomVideo, given: Sentences, used: set[tuple[str, str]], report: ConversionReport
) -> list[tuple[int, str]]:
    """Return (number of the object, sentence) of all objects of a video."""
    said = []
    for number, one in enumerate(video.objects, 1):
        if not one.masks:
            report.notes.append(f'object {one.name!r} of video {video.name!r} has no mask and is left out')
            continue
        alike = sum(other.label == one.label for other in video.objects)
        names = dict.fromkeys((one.name, one.label) if alike == 1 else (one.name,))
        keys = [key for name in names if (key := (base_name(video.name), name)) in given]
        used.update(keys)
        texts = [text for key in keys for text in given[key]] or one.sentences
        if not texts:
            texts = [one.label]
            report.from_labels += 1
        where = f'video {video.name!r}, object {one.name!r}'
        said += [(number, checked_text(text, where)) for text in texts]
    return said


def _known(videos: Sequence[CustomVideo]) -> str:
    some = [f'{base_name(video.name)}: {", ".join(one.name for one in video.objects[:4])}' for video in videos[:3]]
    return '; '.join(some) or 'no video'


def _split(number: int, val_share: float, seed: int) -> list[str]:
    if not 0 <= val_share < 1:
        raise InputError(f'The share for validation must be from 0 to below 1, not {val_share}.')
    count = 0 if val_share == 0 or number == 1 else min(max(1, round(number * val_share)), number - 1)
    chosen = set(random.Random(seed).sample(range(number), count))
    return ['valid' if index in chosen else 'train' for index in range(number)]
