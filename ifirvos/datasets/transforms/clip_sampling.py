"""Sampling of the frames of a clip."""

import os
from collections.abc import Callable

import numpy as np
from mmdet.datasets.transforms import BaseFrameSample

from ifirvos.errors import AnnotationError, InputError, UserError
from ifirvos.frame_sizes import check_picture
from ifirvos.registry import TRANSFORMS
from ifirvos.structures import spread


def reference_indices(video_length: int, num_frames: int, key_frame: int) -> list[int]:
    """ReferFormer's clip: the key frame, a frame 1-3 before it, one 1-3 after it, the rest from the whole video.

    The rest is drawn without replacement from the frames before the first and from the last of those three on (so, as
    there, that last one may come twice). A video too short for that is drawn from as a whole, and one shorter than
    what is missing repeats all its frames. Beside the key frame, two frames get one neighbour (there: an error).

    Args:
        video_length: Frames in the video.
        num_frames: T.
        key_frame: Index of the frame the clip is built around.

    Returns:
        T sorted frame indices.
    """
    before = max(0, key_frame - np.random.randint(1, 4))
    after = min(video_length - 1, key_frame + np.random.randint(1, 4))
    if num_frames <= 2:
        neighbour = (before, after)[np.random.randint(2)]
        return sorted([key_frame, neighbour][:num_frames])
    missing = num_frames - 3
    pool = [*range(before), *range(after, video_length)]
    if len(pool) <= missing:
        pool = list(range(video_length))
    repeats, rest = divmod(missing, len(pool)) if missing > len(pool) else (0, missing)
    drawn = pool * repeats + np.random.choice(pool, rest, replace=False).tolist()
    return sorted([before, key_frame, after, *drawn])


def stratified_indices(video_length: int, num_frames: int, key_frame: int) -> list[int]:
    """One random frame of each of T equal parts of the video; the key frame stands for the part it lies in.

    Ours, not ReferFormer's: it covers the whole video, and at T=1 it is the key frame alone. A video shorter than T
    repeats frames.

    Args:
        video_length: Frames in the video.
        num_frames: T.
        key_frame: Index of a frame the clip must hold.

    Returns:
        T sorted frame indices.
    """
    starts = np.arange(num_frames) * video_length // num_frames
    ends = np.maximum(np.arange(1, num_frames + 1) * video_length // num_frames, starts + 1)
    indices = np.random.randint(starts, ends)
    indices[np.searchsorted(starts, key_frame, side='right') - 1] = key_frame
    return indices.tolist()


def uniform_indices(video_length: int, num_frames: int, key_frame: int) -> list[int]:
    """At most T evenly spaced frames, first and last among them (T=1: the middle one); nothing is random.

    Args:
        video_length: Frames in the video.
        num_frames: T.
        key_frame: Not used.

    Returns:
        min(T, video_length) sorted, distinct frame indices.
    """
    return spread(video_length, num_frames)


def window_indices(video_length: int, num_frames: int, key_frame: int) -> list[int]:
    """T frames in a row with the key frame in the middle; beyond the ends the first or last frame is repeated.

    Of an even T one frame more lies before the key frame than after it, as in MTTR and ReferFormer.

    Args:
        video_length: Frames in the video.
        num_frames: T.
        key_frame: Index of the frame in the middle.

    Returns:
        T sorted frame indices.
    """
    first = key_frame - num_frames // 2
    return [min(max(index, 0), video_length - 1) for index in range(first, first + num_frames)]


def all_indices(video_length: int, num_frames: int | None, key_frame: int) -> list[int]:
    """Every frame of the video, whatever T and the key frame."""
    return list(range(video_length))


SAMPLERS: dict[str, Callable[[int, int, int], list[int]]] = {
    'reference': reference_indices,
    'stratified': stratified_indices,
    'uniform': uniform_indices,
    'window': window_indices,
    'all': all_indices,
}


@TRANSFORMS.register_module()
class RVOSClipSample(BaseFrameSample):
    """Turn a video record into the frames of one clip: a dict of lists of length T, as TransformBroadcaster reads it.

    What belongs to the whole clip (sentence, ids, kind) is repeated T times, because a broadcaster takes a plain
    string for a sequence of characters. Draws come from numpy's global generator.

    Args:
        num_frames: T; not needed for ``mode='all'``.
        mode: ``'reference'`` (ReferFormer's training clip), ``'stratified'`` (one frame of each of T equal parts),
            ``'uniform'`` (evenly spaced, nothing random), ``'window'`` (T frames in a row around the key frame),
            ``'all'`` (the whole video).
        collect_video_keys: Keys of the record that every frame gets.

    Raises:
        ValueError: If ``mode`` is unknown, or ``num_frames`` is missing or below 1.
    """

    def __init__(
        self,
        num_frames: int | None = None,
        mode: str = 'reference',
        collect_video_keys: tuple[str, ...] = ('video_id', 'video_length', 'text', 'exp_id', 'kind', 'obj_id'),
    ) -> None:
        super().__init__(collect_video_keys=list(collect_video_keys))
        if mode not in SAMPLERS:
            raise InputError(f'Unknown mode {mode!r} of RVOSClipSample: use one of {sorted(SAMPLERS)}.')
        if mode != 'all' and (num_frames is None or num_frames < 1):
            raise InputError(f'RVOSClipSample(mode={mode!r}) needs num_frames >= 1, got {num_frames}.')
        self.num_frames = num_frames
        self.mode = mode

    def transform(self, results: dict) -> dict[str, list]:
        """Sample the clip.

        Args:
            results: A record of ``BaseRVOSDataset``: ``images`` (one dict per frame), the collected keys, and
                ``key_frame_id`` (drawn here where the record has none).

        Returns:
            The keys of the frame dicts and the collected keys, each a list of T values. Where the frames come with
            ``key_frame_flags``, one frame keeps its flag: the first, if the clip shows the key frame several times.

        Raises:
            AnnotationError: the annotated frame is not of the video; a frame is a folder, a pipe, a device, or no
                picture.
            LimitError: a frame has too many pixels.
        """
        length = results['video_length']
        key_frame = results.get('key_frame_id')
        if key_frame is None:
            key_frame = int(np.random.randint(length))
        elif not 0 <= key_frame < length:
            raise AnnotationError(
                f'Frame {key_frame + 1} of video {results.get("video_id")} is annotated, but it has {length} frames.'
            )
        clip = dict(self.prepare_data(results, SAMPLERS[self.mode](length, self.num_frames, key_frame)))
        if 'key_frame_flags' in clip:
            first = clip['key_frame_flags'].index(True)
            clip['key_frame_flags'] = [index == first for index in range(len(clip['key_frame_flags']))]
        for path in set(clip.get('img_path', ())):
            if os.path.exists(path):  # not on another server
                _check_frame(path, results)
        return clip

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_frames={self.num_frames}, mode={self.mode!r})'


def _check_frame(path: str, record: dict) -> None:
    try:
        check_picture(path)
    except UserError as error:
        entry = f'video {record.get("video_id")}, expression {record.get("exp_id")}'
        raise type(error)(f'A frame of {entry} cannot be used: {error}') from error
