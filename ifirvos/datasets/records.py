"""Checks of records, for all readers: safe names, texts, object ids."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

from ifirvos.errors import AnnotationError
from ifirvos.json_files import limit_of, read_json
from ifirvos.safe_names import checked_name, checked_path, shown

MAX_OBJECT = 2**31 - 1  # COCO's instances; a palette PNG holds no more than 255
MAX_FRAMES = 100_000  # of a video
MAX_WORDS = 10_000  # of a sentence: more is another file in its place


def check_records(videos: Mapping[str, Sequence], expressions: Sequence[dict], where: str) -> None:
    """Check what a reader's ``load_annotations`` returned.

    Args:
        videos: Frame names by video id; paths of several names are allowed, as RefCOCO's pictures may have them.
        expressions: See :meth:`BaseRVOSDataset.load_annotations`.
        where: The annotation file, for the messages.

    Raises:
        AnnotationError: names file, video and expression, and says what is wrong.
    """
    most = limit_of('IFIRVOS_MAX_VIDEO_FRAMES', MAX_FRAMES)
    for video_id in videos:
        checked_name(video_id, 'video', where)
    for video_id, frames in videos.items() if isinstance(videos, dict) else ():
        in_video = f'{where}: video {video_id}'
        if not len(frames):
            raise AnnotationError(f'{in_video} has no frames.')
        if len(frames) > most:
            raise AnnotationError(
                f'{in_video} has {len(frames):,} frames, more than {most:,}: --max-video-frames sets another limit.'
            )
        if isinstance(frames, range):
            continue
        for frame in frames:
            checked_path(frame, 'frame', in_video)
        if len(set(frames)) < len(frames):
            twice = next(frame for index, frame in enumerate(frames) if frame in frames[:index])
            raise AnnotationError(f'{in_video} has frame {twice} twice.')
    for expression in expressions:
        in_video = f'{where}: video {expression["video_id"]}'
        checked_name(expression['exp_id'], 'expression', in_video)
        entry = f'{in_video}, expression {expression["exp_id"]}'
        checked_text(expression['text'], entry)
        if not isinstance(expression.get('kind', ''), str):
            raise AnnotationError(f'{entry}: kind is {shown(expression["kind"])}, not text.')
        key_frame, frames = expression.get('key_frame_id'), videos
        if (
            isinstance(frames, dict)
            and key_frame is not None
            and not 0 <= key_frame < len(frames[expression['video_id']])
        ):
            raise AnnotationError(f'{entry}: there is no frame {key_frame + 1} in the video.')


def checked_text(text: Any, where: str) -> str:
    """Return a sentence.

    Raises:
        AnnotationError: it is missing or no text, cannot be written (half a character pair), or is a whole book.
    """
    if not isinstance(text, str):
        raise AnnotationError(f'{where}: the sentence is {shown(text)}, not text.')
    if len(text) > 20 * MAX_WORDS:
        raise AnnotationError(f'{where}: the sentence has {len(text):,} characters.')
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise AnnotationError(
            f'{where}: the sentence {shown(text)} has half of a character pair (U+{ord(text[error.start]):04X}).'
        ) from error
    return text


def object_number(obj_id: Any, where: str) -> int:
    """Return an object id of the annotations as a pixel value.

    Raises:
        AnnotationError: it is no whole number from 0; the message says ``where``.
    """
    number = obj_id
    if isinstance(obj_id, str) and obj_id.strip().isascii() and obj_id.strip().isdigit() and len(obj_id) < 20:
        number = int(obj_id)
    if isinstance(obj_id, float) and obj_id.is_integer():
        number = int(obj_id)
    if isinstance(number, bool) or not isinstance(number, int):
        raise AnnotationError(f'{where} names object {shown(obj_id)}: a pixel value, so a number, is needed.')
    if not 0 <= number <= MAX_OBJECT:  # 0: SynthRVOS has sentences that fit nothing
        raise AnnotationError(f'{where} names object {shown(obj_id)}: a pixel value is 1 to 255.')
    return number


def first_there(root: str, paths: Sequence[str]) -> str:
    """Return the first path that exists below the root; if none does, the first one, for the error to name."""
    return next((path for path in paths if osp.exists(osp.join(root, path))), paths[0])


def read_videos(path: str) -> dict[str, Any]:
    """Return the entries of a ``meta_expressions.json`` by video id.

    Raises:
        MissingFileError: the file is missing.
        AnnotationError: it has another structure, or a video a name that cannot be a folder's.
    """
    content = read_json(path, 'expression file')
    if not isinstance(content, dict) or not isinstance(content.get('videos'), dict):
        found = shown(content.get('videos')) if isinstance(content, dict) else f'a {type(content).__name__}'
        raise AnnotationError(
            f'{path} is not a meta_expressions.json: it must hold videos by name ({{"videos": {{…}}}}), not {found}.'
        )
    if not content['videos']:
        raise AnnotationError(f'{path} has no videos.')
    for video_id in content['videos']:
        checked_name(video_id, 'video', path)
    return content['videos']


def read_expression_file(path: str) -> dict[str, dict]:
    """Return the videos of a ``meta_expressions.json``: by id, dicts of ``expressions`` (by id) and ``frames`` (names).

    Raises:
        MissingFileError: the file is missing.
        AnnotationError: it has another structure; names video and expression, and says what is wrong.
    """
    videos = read_videos(path)
    for video_id, video in videos.items():
        where = f'{path}: video {video_id}'
        if not isinstance(video, dict):
            raise AnnotationError(f'{where} is {shown(video)}, not a dict of frames and expressions.')
        if not {'expressions', 'frames'} <= video.keys():
            raise AnnotationError(f'Video {video_id} in {path} has no expressions or no frames.')
        frames, expressions = video['frames'], video['expressions']
        if not isinstance(frames, list) or not frames:
            raise AnnotationError(f'{where}: frames is {shown(frames)}, not a list of names with at least one.')
        for frame in frames:
            if not isinstance(frame, str):
                raise AnnotationError(f'{where}: frame {shown(frame)} is a {type(frame).__name__}, not a name.')
        if not isinstance(expressions, dict):
            raise AnnotationError(f'{where}: expressions is {shown(expressions)}, not a dict by expression id.')
        for exp_id, expression in expressions.items():
            entry = f'{where}, expression {shown(exp_id)[1:-1]}'
            if not isinstance(expression, dict):
                raise AnnotationError(f'{entry} is {shown(expression)}, not a dict with exp.')
            if 'exp' not in expression:
                raise AnnotationError(f'{entry} has no exp, the sentence.')
            checked_text(expression['exp'], entry)
    return videos
