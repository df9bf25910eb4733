"""COCO-VID and YouTube-VIS json.

YouTube-VIS: ``videos`` with ``file_names``, ``annotations`` with ``video_id`` and ``segmentations``, one per frame,
null without the object. COCO-VID: ``images`` with ``video_id`` and ``frame_id``, ``annotations`` with ``image_id`` and
``instance_id`` or ``track_id``. A sentence stands in ``sentence``, ``sentences``, ``expression``, ``expressions`` or
``caption`` of an annotation.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from ifirvos.errors import InputError
from ifirvos.json_files import read_json
from ifirvos.video.sources import natural_key

from .video import CustomObject, CustomVideo, box_to_rle, refuse_box, to_rle

_SENTENCE_KEYS = ('sentence', 'sentences', 'expression', 'expressions', 'caption')


def said_of(annotation: dict) -> list[str]:
    """Return the sentences of an annotation."""
    given = [annotation[key] for key in _SENTENCE_KEYS if annotation.get(key)]
    return [str(text) for part in given for text in (part if isinstance(part, list) else [part])]


def read_coco(path: Path, fill_boxes: bool = False) -> list[CustomVideo]:
    """Read a file of either format.

    Raises:
        InputError: It is neither.
    """
    content = read_json(path, 'export')
    try:
        labels = {category['id']: category['name'] for category in content.get('categories', [])}
        if any('segmentations' in annotation or 'bboxes' in annotation for annotation in content['annotations']):
            return _youtube_vis(content, labels, path, fill_boxes)
        return _coco_vid(content, labels, path, fill_boxes)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f'{path} is neither COCO-VID nor YouTube-VIS json: {error!r} is missing or wrong.') from error


def _youtube_vis(content: dict, labels: dict, path: Path, fill_boxes: bool) -> list[CustomVideo]:
    videos, sizes = {}, {}
    for video in content['videos']:
        files = video['file_names']
        videos[video['id']] = CustomVideo(str(video.get('name') or Path(files[0]).parent.name), [], files)
        sizes[video['id']] = int(video['height']), int(video['width'])
    for annotation in content['annotations']:
        video = _of(videos, annotation['video_id'], path, 'video')
        label = str(labels.get(annotation.get('category_id'), 'object'))
        one = CustomObject(str(annotation['id']), label, said_of(annotation))
        size, where = sizes[annotation['video_id']], f'{path}, annotation {annotation["id"]}'
        segments = annotation.get('segmentations') or [None] * len(video.files)
        boxes = annotation.get('bboxes') or [None] * len(video.files)
        if not len(segments) == len(boxes) == len(video.files):
            raise InputError(f'{where} has {len(segments)} masks, but its video {len(video.files)} frames.')
        for frame, (segment, box) in enumerate(zip(segments, boxes, strict=True)):
            _add(one, frame, segment, box, size, where, fill_boxes)
        video.objects.append(one)
    return list(videos.values())


def _place(image: dict) -> tuple:
    return image.get('frame_id', image.get('frame_index', 0)), natural_key(PurePosixPath(image['file_name']))


def _coco_vid(content: dict, labels: dict, path: Path, fill_boxes: bool) -> list[CustomVideo]:
    names = {video['id']: str(video.get('name') or video['id']) for video in content.get('videos', [])}
    images: dict[Any, list[dict]] = {}
    for image in content['images']:
        images.setdefault(image['video_id'], []).append(image)
    videos, place, objects = {}, {}, {}
    for video_id, of_video in images.items():
        of_video.sort(key=_place)
        files = [image['file_name'] for image in of_video]
        videos[video_id] = CustomVideo(names.get(video_id, str(video_id)), [], files)
        for frame, image in enumerate(of_video):
            place[image['id']] = video_id, frame, (int(image['height']), int(image['width']))
    for annotation in content['annotations']:
        video_id, frame, size = _of(place, annotation['image_id'], path, 'image')
        number = next((annotation[key] for key in ('instance_id', 'track_id') if key in annotation), None)
        if number is None:
            raise InputError(
                f'{path}, annotation {annotation["id"]} has no instance_id or track_id, so it is not known which '
                'object of the video it shows.'
            )
        if (video_id, number) not in objects:
            label = str(labels.get(annotation.get('category_id'), 'object'))
            objects[video_id, number] = one = CustomObject(str(number), label)
            videos[video_id].objects.append(one)
        one = objects[video_id, number]
        one.sentences += [text for text in said_of(annotation) if text not in one.sentences]
        where = f'{path}, annotation {annotation["id"]}'
        _add(one, frame, annotation.get('segmentation'), annotation.get('bbox'), size, where, fill_boxes)
    return list(videos.values())


def _add(
    one: CustomObject,
    frame: int,
    segment: dict | list | None,
    box: list[float] | None,
    size: tuple[int, int],
    where: str,
    fill_boxes: bool,
) -> None:
    if segment:
        one.add(frame, to_rle(segment, size, where))
    elif box:
        if not fill_boxes:
            refuse_box(where)
        x, y, width, height = box
        one.add(frame, box_to_rle((x, y, x + width, y + height), size))


def _of(known: dict, key: Any, path: Path, what: str) -> Any:
    if key not in known:
        raise InputError(f'{path}: an annotation names {what} {key!r}, which is not in the file.')
    return known[key]
