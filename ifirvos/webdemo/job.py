"""One request of the web page: from an upload and sentences to results on disk. Independent of Gradio.

Uploads come from strangers: all limits are checked here, and no message contains a path of this machine.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from mmengine.logging import MMLogger

from ifirvos.clip_score import clip_score
from ifirvos.errors import InputError, VideoError
from ifirvos.inference.absence import probably_absent
from ifirvos.inference.domain import another_domain
from ifirvos.inference.inferencer import RVOSInferencer
from ifirvos.inference.writers import ResultWriter
from ifirvos.names import unique_slugs
from ifirvos.video.reader import VideoReader


@dataclass(frozen=True)
class Limits:
    """Limits of a request, and of the results that are kept."""

    megabytes: int = 100
    seconds: int = 60
    frames: int = 1800
    pixels: int = 1920 * 1080  # of a frame
    sentences: int = 8
    characters: int = 300  # of a sentence
    results: int = 50  # kept at once, one per visitor
    disk: int = 2000  # megabytes of results and uploads together


@dataclass(frozen=True)
class Job:
    """A finished request.

    Attributes:
        folder: The folder of its files, which has no others.
        texts: The sentences.
        overlays: One video per sentence.
        archive: A zip with one folder per sentence: masks as PNGs, and frames.csv.
        times: Times of the T frames in seconds.
        scores: Scores (T,) of every sentence.
        note: Says that the model cannot know such a video, which sentences probably fit nothing, and which part of the
            video could not be read; else ''.
    """

    folder: Path
    texts: tuple[str, ...]
    overlays: tuple[Path, ...]
    archive: Path
    times: np.ndarray
    scores: tuple[np.ndarray, ...]
    note: str

    def remove(self) -> None:
        """Delete its files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def read_sentences(text: str | None, limits: Limits) -> list[str]:
    """Return the sentences of the text, one per line; empty lines are ignored.

    Raises:
        InputError: There is none, too many, or one is too long.
    """
    texts = [line for line in (' '.join(line.split()) for line in (text or '').splitlines()) if line]
    if not texts:
        raise InputError('Write at least one sentence, for example: the red star')
    if len(texts) > limits.sentences:
        raise InputError(f'These are {len(texts)} sentences; this page takes up to {limits.sentences}, one per line.')
    for number, line in enumerate(texts, 1):
        if len(line) > limits.characters:
            raise InputError(
                f'Sentence {number} has {len(line)} characters; this page takes up to {limits.characters}.'
            )
    return texts


def open_video(path: Path, limits: Limits) -> VideoReader:
    """Return the video if its header is valid and within the limits.

    Raises:
        InputError: It is too large or too long.
        VideoError: It cannot be read.
    """
    if not path.is_file():
        raise InputError('Choose a video first.')
    if path.stat().st_size > limits.megabytes * 1e6:
        raise InputError(f'The file has {path.stat().st_size / 1e6:.0f} MB; this page takes up to {limits.megabytes}.')
    reader = VideoReader(path, max_frames=limits.frames + 1)  # one more, to notice a longer video
    length = VideoReader(path).num_frames
    if length and length > limits.frames:
        raise InputError(f'The video has {length} frames; this page takes up to {limits.frames}.')
    if length and length / reader.fps > limits.seconds:
        seconds = float(length / reader.fps)
        raise InputError(f'The video is {seconds:.0f} seconds long; this page takes up to {limits.seconds}.')
    height, width = next(iter(reader)).shape[:2]
    if height * width > limits.pixels:
        raise InputError(f'The video is {width}x{height}; this page takes up to {limits.pixels} pixels per frame.')
    return reader


def run_job(
    inferencer: RVOSInferencer,
    path: Path,
    texts: Sequence[str],
    folder: Path,
    limits: Limits,
    progress: Callable[[int, int | None], None],
) -> Job:
    """Segment the video and write the results window by window, so that memory does not grow with its length.

    Args:
        inferencer: The model.
        path: The uploaded file.
        texts: Output of :func:`read_sentences`.
        folder: The folder to fill; removed if the request fails.
        limits: Limits of the page.
        progress: Called with the number of frames done, and of all frames (None: not known).

    Raises:
        InputError, VideoError: With a message for the user, without a path.
    """
    try:
        return _run(inferencer, path, texts, folder, limits, progress)
    except (InputError, VideoError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, InputError | VideoError):  # a full disk, which names the folder
            MMLogger.get_current_instance().error(str(error))
            raise InputError('This server cannot write the result.') from error
        raise InputError(_without_path(str(error), path)) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _run(inferencer, path, texts, folder, limits, progress) -> Job:
    reader = open_video(path, limits)
    folders = [folder / name for name in unique_slugs(texts)]
    times: list[float] = []
    scores: list[list[float]] = [[] for _ in texts]
    strange = None
    total = reader.num_frames if reader.num_frames and reader.num_frames <= limits.frames else None
    progress(0, total)
    with ResultWriter(folders, texts, reader, save=('overlay', 'masks', 'csv')) as writer:
        for window in inferencer.stream(reader, texts):
            if not times:
                strange = another_domain(inferencer.model_name, window.frames, texts)
            times += map(float, window.times)
            if len(times) > limits.frames or times[-1] > limits.seconds:
                raise InputError(
                    f'The video is longer than {limits.seconds} seconds or {limits.frames} frames; cut it.'
                )
            for values, result in zip(scores, window.results, strict=True):
                values += result.scores.tolist()
            writer.write(window)
            progress(len(times), total)
    absent = probably_absent(inferencer.model_name, texts, [clip_score(values) for values in scores])
    archive = folder / 'masks.zip'
    pack_masks(archive, folders, texts)
    for one in folders:  # they are in the zip
        shutil.rmtree(one / 'masks', ignore_errors=True)
    return Job(
        folder,
        tuple(texts),
        tuple(writer.overlays),
        archive,
        np.array(times),
        tuple(map(np.array, scores)),
        ' '.join(filter(None, [strange, absent, _without_path(reader.problem or '', path)])),
    )


def pack_masks(archive: Path, folders: Sequence[Path], texts: Sequence[str]) -> None:
    """Zip the masks and tables of every sentence, but not result.json, which has paths of this machine."""
    with zipfile.ZipFile(archive, 'w', zipfile.ZIP_STORED) as file:  # PNGs are compressed already
        file.writestr('sentences.txt', ''.join(f'{folder.name}: {text}\n' for folder, text in zip(folders, texts)))
        for folder in folders:
            for path in sorted([*folder.glob('masks/*.png'), folder / 'frames.csv']):
                file.write(path, f'{folder.name}/{path.relative_to(folder).as_posix()}')


def frame_at(video: Path, time: float) -> np.ndarray:
    """Return the frame that an overlay shows at a time in seconds, uint8 RGB (H, W, 3).

    Raises:
        VideoError: There is none.
    """
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        container.seek(max(0, int(time / stream.time_base)), stream=stream)  # to the key frame before it
        found = None
        for frame in container.decode(stream):
            if found is not None and frame.time > time + 1e-3:  # times are rounded to the file's clock
                break
            found = frame
        if found is None:
            raise VideoError(f'{video} has no frame at {time} seconds.')
        return found.to_ndarray(format='rgb24')


def _without_path(message: str, path: Path) -> str:
    for name in {str(path), str(path.resolve())}:
        message = message.replace(name, 'The file')
    return message
