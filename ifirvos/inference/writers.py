"""Writes results frame by frame: overlay and cut-out videos, mask PNGs, COCO RLEs, CSV and JSON per sentence."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np

from ifirvos.clip_score import clip_score
from ifirvos.errors import InputError, VideoError
from ifirvos.video.reader import VideoReader
from ifirvos.video.sources import DEFAULT_FPS
from ifirvos.video.writer import video_suffix
from ifirvos.visualization import STYLES, OverlayColors, draw_result

from .exporters import EXPORTS, FOLDER, Together, stable_id, with_needed
from .folders import RESULT_FILE, staged_folders
from .open_files import allow_open_files
from .results import FrameResult, SentenceResult, WindowResult
from .sentence_files import SINKS, Sink, Target

DEFAULT_SAVES = ('overlay', 'masks', 'rle', 'csv')
SAVES = (*DEFAULT_SAVES, 'cutout', *EXPORTS)  # exports have all sentences of a video, in a separate folder
ROW = 9  # numbers a frame: number, time, score, present, query, box


def check_saves(save: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the outputs, checked.

    Raises:
        InputError: one of them is unknown.
    """
    save = (save,) if isinstance(save, str) else tuple(save)
    unknown = [name for name in save if name not in SAVES]
    if unknown:
        raise InputError(f'There is no output {unknown[0]!r}; choose of {", ".join(SAVES)}.')
    return with_needed(save)


def check_style(style: str) -> str:
    """Return the name of the style, checked.

    Raises:
        InputError: it is unknown.
    """
    if style not in STYLES:
        raise InputError(f'There is no style {style!r}; choose of {", ".join(STYLES)}.')
    return style


class ResultWriter:
    """Writes the results of a video window by window, to one folder per sentence.

    Use it as a context manager. The folders get their names when all are complete; after an exception there are none.

    Args:
        folders: One per sentence, all in one parent, see :func:`ifirvos.names.unique_slugs`.
        texts: The sentences.
        reader: The video of the frames, for its frame rate, sound and problem; None for frames from elsewhere.
        save: Outputs to write, of ``SAVES``; result.json always.
        info: Further entries of result.json (model, weights, …).
        overwrite: Replace results of an earlier run.
        video_id: The video's number in the files; None: derived from its name, the same in every run.
        style: Style of the overlays, one of :data:`ifirvos.visualization.STYLES`.

    Attributes:
        overlays: The overlay videos, complete after the block.

    Raises:
        OutputExistsError: on entering: a folder exists, see :func:`check_free`.
        InputError: an unknown kind of output.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        texts: Sequence[str],
        reader: VideoReader | None = None,
        *,
        save: Sequence[str] = DEFAULT_SAVES,
        info: dict | None = None,
        overwrite: bool = False,
        video_id: int | None = None,
        style: str = STYLES[0],
    ) -> None:
        self.style, self._colors = check_style(style), OverlayColors()
        self.folders, self.texts, self.reader = list(folders), list(texts), reader
        self.save, self.info, self.overwrite = check_saves(save), dict(info or {}), overwrite
        overlay = [f'overlay{video_suffix()}'] if 'overlay' in self.save else []
        # Frames have no name of their own, but their results have a place.
        source = str(Path(self.folders[0]).parent.resolve()) if reader is None else reader.name
        self.video_id = stable_id(source) if video_id is None else video_id
        self.sentence_ids = [stable_id(str(self.video_id), str(i), text) for i, text in enumerate(self.texts)]
        self.exports = [name for name in self.save if name in EXPORTS]
        self._together = [self.folders[0].parent / FOLDER] if self.exports else []
        self.overlays = [folder / name for folder in self.folders for name in overlay]
        self.num_frames = 0
        self._dtypes: list[str] = []
        self._size = (0, 0)
        self._staged: list[Path] = []
        self._sinks: list[list[Sink]] = []
        self._export_sinks: list[Callable[[Sequence[FrameResult]], None]] = []
        self._rows = [array('d') for _ in self.texts]  # numbers alone: a dict a frame would be 500 bytes
        self._notes: list[list[str]] = [[] for _ in self.texts]

    def __enter__(self) -> ResultWriter:
        files = len(self.save) + (self.reader is not None)  # of a sentence; an overlay reads the sound of the video
        allow_open_files(len(self.texts) * files)
        with ExitStack() as stack:
            self._staged = stack.enter_context(staged_folders([*self.folders, *self._together], self.overwrite))
            stack.push(self._write_records)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> bool | None:
        return self._stack.__exit__(*error)

    @property
    def notes(self) -> list[str]:
        """Notes on what reading and writing changed, without duplicates; complete after the block."""
        notes = [] if self.reader is None else self.reader.notes
        return list(dict.fromkeys([*notes, *(note for part in self._notes for note in part)]))

    @property
    def fps(self) -> Fraction:
        """Frames per second of the written videos."""
        return DEFAULT_FPS if self.reader is None else self.reader.fps

    def write(self, window: WindowResult) -> None:
        """Append the frames of a window."""
        if not self._sinks:
            self._start(window.frames[0].shape[:2])
        if window.dtype is not None and window.dtype not in self._dtypes:
            self._dtypes.append(window.dtype)
        for t, (frame, time) in enumerate(zip(window.frames, window.times, strict=True)):
            frame_results = [
                FrameResult(
                    window.start + t,
                    time,
                    frame,
                    np.asarray(result.masks[t]),
                    float(result.scores[t]),
                    bool(result.present[t]),
                    tuple(result.boxes[t].tolist()),
                    int(result.query_indices[t]),
                )
                for result in window.results
            ]
            for sink in self._export_sinks:
                sink(frame_results)
            for one, sinks, rows in zip(frame_results, self._sinks, self._rows, strict=True):
                for sink in sinks:
                    sink(one)
                rows.extend((one.number, time, one.score, one.present, one.query, *one.box))
        self.num_frames = window.start + len(window.frames)

    def _start(self, size: tuple[int, int]) -> None:
        """Open all files, at the first window: before it, the rate of a webcam is not known."""
        self._size = size
        sound = None if self.reader is None else self.reader.sound_source
        aspect = Fraction(1) if self.reader is None else self.reader.pixel_aspect
        for index, (folder, text) in enumerate(zip(self._staged, self.texts, strict=False)):
            target = Target(
                folder,
                text,
                index,
                self.fps,
                sound,
                self.video_id,
                self.sentence_ids[index],
                aspect,
                self._notes[index],
                self._colors,
                self.style,
            )
            self._sinks.append([self._stack.enter_context(SINKS[name](target)) for name in self.save if name in SINKS])
        if self.exports:
            name = 'frames' if self.reader is None else Path(self.reader.name).name
            together = Together(
                self._staged[-1],
                self.texts,
                self.fps,
                size,
                name,
                self.video_id,
                self.sentence_ids,
                self._colors,
                self.style,
                sound,
                aspect,
            )
            for export in self.exports:
                self._export_sinks.append(self._stack.enter_context(EXPORTS[export](together)))

    def _precision(self) -> dict[str, str | None]:
        return dict(dtype=', '.join(self._dtypes) or None)  # 'auto' may decide after the first window

    def _write_records(self, error_type: type | None, *_) -> None:
        if error_type is not None:
            return
        height, width = self._size
        threshold = self.info.get('absent_below')
        for folder, text, rows, notes in zip(self._staged, self.texts, self._rows, self._notes, strict=False):
            score = round(clip_score(rows[2::ROW]), 6) if rows else None
            record = dict(
                sentence=text,
                video=None if self.reader is None else self.reader.name,
                **dict(self._precision(), **self.info),
                width=width,
                height=height,
                fps=float(self.fps),
                num_frames=self.num_frames,
                overlay=f'overlay{video_suffix()}' if 'overlay' in self.save else None,
                masks='masks/{frame:05d}.png' if 'masks' in self.save else None,
                problem=None if self.reader is None else self.reader.problem,
                notes=[*([] if self.reader is None else self.reader.notes), *notes],
                query_index=int(rows[4]) if rows else None,
                clip_score=score,
                probably_absent=None if threshold is None or score is None else score < threshold,
            )
            _write_json(folder / RESULT_FILE, record, _frames(rows))
        if self.exports:
            record = dict(video_id=self.video_id, sentences=self.texts, sentence_ids=self.sentence_ids)
            record.update(self._precision(), **self.info)
            _write_json(self._staged[-1] / RESULT_FILE, record)


def _frames(rows: array) -> Iterator[dict]:
    for at in range(0, len(rows), ROW):
        number, time, score, present, query, *box = rows[at : at + ROW]
        yield dict(
            frame=int(number),
            time=round(time, 6),
            score=round(score, 6),
            present=bool(present),
            box=[round(side, 2) for side in box],
            query=int(query),
        )


def _write_json(path: Path, record: dict, frames: Iterator[dict] | None = None) -> None:
    """Write a record, and below its key "frames" one line a frame, as they come."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    with path.open('w', encoding='utf-8') as file:
        if frames is None:
            file.write(text)
            return
        file.write(f'{text[:-2]},\n "frames": [')
        for count, frame in enumerate(frames):
            file.write((',' if count else '') + '\n  ' + json.dumps(frame))
        file.write('\n ]\n}')


def write_results(
    reader: VideoReader,
    results: Sequence[SentenceResult],
    folders: Sequence[Path],
    *,
    info: dict | None = None,
    overwrite: bool = False,
    progress: Callable[[Iterable], Iterable] = iter,
    save: Sequence[str] = DEFAULT_SAVES,
    style: str = STYLES[0],
) -> list[Path]:
    """Write complete results; the video is decoded a second time.

    Args:
        reader: The video that the results are of.
        results: One per sentence.
        folders: One per sentence, see :func:`ifirvos.names.unique_slugs`.
        info: Further entries of the JSON (model, weights, …).
        overwrite: Replace results of an earlier run.
        progress: Wraps the frames, to show a bar.
        save: See :class:`ResultWriter`.
        style: See :class:`ResultWriter`.

    Returns:
        The overlay videos.

    Raises:
        VideoError: the video has become shorter.
    """
    num_frames, texts = len(results[0].scores), [result.text for result in results]
    with ResultWriter(folders, texts, reader, save=save, info=info, overwrite=overwrite, style=style) as writer:
        for t, (frame, time) in enumerate(progress(reader.timed())):
            if t == num_frames:
                break
            writer.write(WindowResult(t, [frame], [time], [result.part(t, t + 1) for result in results]))
        if writer.num_frames < num_frames:
            raise VideoError(
                f'{reader.name} gave {num_frames} frames first and {writer.num_frames} now: it changed meanwhile.'
            )
    return writer.overlays


def draw_window(window: WindowResult, colors: OverlayColors | None = None, style: str = STYLES[0]) -> list[np.ndarray]:
    """Draw the window's frames with the object of every sentence: uint8 RGB (n, H, W, 3).

    Args:
        window: The window, of one video.
        colors: The same object for all windows of a video, so that a sentence keeps its colour.
        style: One of :data:`ifirvos.visualization.STYLES`.
    """
    colors = colors or OverlayColors()
    return [
        np.stack(
            [
                draw_result(frame, mask, result.text, float(score), colors.color(index, frame, np.asarray(mask)), style)
                for frame, mask, score in zip(window.frames, result.masks, result.scores, strict=True)
            ]
        )
        for index, result in enumerate(window.results)
    ]
