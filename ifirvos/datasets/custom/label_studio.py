"""Label Studio's json export: brush masks of frames (``<BrushLabels>``), or boxes over a video (``<VideoRectangle>``).

Tasks of frames form a video by ``data.video``, else by the folder of ``data.image``; within it, the regions of one
label are one object. In a video, a region is an object. What is said of an object stands in a ``<TextArea>`` of its
region.
Formats: https://labelstud.io/guide/export, https://labelstud.io/tags/videorectangle
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from ifirvos.errors import InputError
from ifirvos.json_files import read_json
from ifirvos.run_lengths import encode_mask
from ifirvos.video.sources import natural_key

from .video import CustomObject, CustomVideo, box_to_rle, checked_size, refuse_box, to_rle

_UPLOADED = re.compile(r'^[0-9a-f]{8}-(?=.)')


def read_label_studio(path: Path, fill_boxes: bool = False) -> list[CustomVideo]:
    """Read an export: of every task the last annotation that was not cancelled, or else the last prediction.

    Raises:
        InputError: It is no such file, or its video's size is not known.
    """
    videos: dict[str, _Video] = {}
    tasks = read_json(path, 'export')
    try:
        for number, task in enumerate(tasks, 1):
            _read_task(task, number, videos, path, fill_boxes)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f'{path} is no json export of Label Studio: {error!r} is missing or wrong.') from error
    return [video.finished() for video in videos.values()]


class _Video:
    def __init__(self, name: str) -> None:
        self.name = name
        self.objects: dict[str, CustomObject] = {}
        self.frames: list[tuple[Any, str, dict[str, list[dict]]]] = []  # order, file, RLEs by object

    def finished(self) -> CustomVideo:
        if not self.frames:
            return CustomVideo(self.name, list(self.objects.values()))
        self.frames.sort(key=lambda frame: (frame[0], natural_key(PurePosixPath(uploaded_name(frame[1])))))
        for index, (_, _, masks) in enumerate(self.frames):
            for name, rles in masks.items():
                for rle in rles:
                    self.objects[name].add(index, rle)
        files = [file for _, file, _ in self.frames]
        stems = [PurePosixPath(uploaded_name(file)).stem for file in files]
        return CustomVideo(self.name, list(self.objects.values()), files, stems=stems)


def _read_task(task: dict, number: int, videos: dict[str, _Video], path: Path, fill_boxes: bool) -> None:
    results = [one['result'] for one in task.get('annotations', []) if not one.get('was_cancelled')]
    results = results or [one['result'] for one in task.get('predictions', [])]
    where, data = f'{path}, task {task.get("id", number)}', task['data']
    if not {'image', 'video'} & data.keys():
        raise KeyError('image')
    if not results or ('image' not in data and not any(one.get('type') == 'videorectangle' for one in results[-1])):
        return  # nobody annotated it; or a video without boxes
    regions = results[-1]
    said: dict[str, list[str]] = {}
    for region in regions:
        if region.get('type') == 'textarea':
            said.setdefault(region.get('id', ''), []).extend(region['value']['text'])
    if any(region.get('type') == 'videorectangle' for region in regions):
        video = videos.setdefault(local_path(data['video']), _Video(local_path(data['video'])))
        for region in regions:
            if region.get('type') == 'videorectangle':
                _read_track(region, video, said.get(region.get('id', ''), []), data, where, fill_boxes)
        return
    picture = local_path(data['image'])
    name = local_path(data['video']) if data.get('video') else PurePosixPath(picture).parent.name
    video = videos.setdefault(name, _Video(name))
    masks: dict[str, list[dict]] = {}
    for region in regions:
        kind = region.get('type')
        if kind not in ('brushlabels', 'polygonlabels', 'rectanglelabels'):
            continue
        label = region['value'][kind][0]
        one = video.objects.setdefault(label, CustomObject(label, label))
        one.sentences += [text for text in said.get(region.get('id', ''), []) if text not in one.sentences]
        masks.setdefault(label, []).append(_region_rle(region, kind, where, fill_boxes))
    video.frames.append((data.get('frame', 0), picture, masks))


def _region_rle(region: dict, kind: str, where: str, fill_boxes: bool) -> dict:
    value, size = region['value'], (region['original_height'], region['original_width'])
    height, width = size
    checked_size(size, where)
    if kind == 'brushlabels':
        values = decode_brush(value['rle'], most=4 * height * width)
        return encode_mask(values.reshape(height, width, 4)[..., 3] > 0)
    if kind == 'polygonlabels':
        points = [coordinate for x, y in value['points'] for coordinate in (x * width / 100, y * height / 100)]
        return to_rle([points], size, where)
    if not fill_boxes:
        refuse_box(where)
    return box_to_rle(_pixels(value, size), size)


def _read_track(region: dict, video: _Video, said: list[str], data: dict, where: str, fill_boxes: bool) -> None:
    """Read boxes at key frames, from 1: they move evenly between two, and end behind one that is not ``enabled``."""
    if not fill_boxes:
        refuse_box(where)
    size = tuple(region.get(f'original_{side}') or data.get(side) for side in ('height', 'width'))
    if None in size:
        raise InputError(
            f'{where}: the size of the video is not known: put "width" and "height" into the task\'s data.'
        )
    label = (region['value'].get('labels') or ['object'])[0]
    one = CustomObject(region.get('id', str(len(video.objects))), label, list(said))
    keys = sorted(region['value']['sequence'], key=lambda key: key['frame'])
    for key, after in zip(keys, [*keys[1:], None], strict=True):
        stop = key['frame'] + 1
        if key.get('enabled', True):
            stop = after['frame'] if after else int(region['value'].get('framesCount', key['frame'])) + 1
        for frame in range(key['frame'], stop):
            share = (frame - key['frame']) / (after['frame'] - key['frame']) if after else 0
            box = {
                side: key[side] + share * ((after or key)[side] - key[side]) for side in ('x', 'y', 'width', 'height')
            }
            one.add(frame - 1, box_to_rle(_pixels(box, size), size))
    video.objects[one.name] = one


def _pixels(box: dict, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return a box in percent of the frame as xyxy in pixels."""
    height, width = size
    x1, y1 = box['x'] * width / 100, box['y'] * height / 100
    return x1, y1, x1 + box['width'] * width / 100, y1 + box['height'] * height / 100


def local_path(address: str) -> str:
    """Return the path in a task's URL: of a local storage (``?d=…``), an upload, or a web server."""
    parts = urlsplit(address)
    inner = parse_qs(parts.query).get('d')
    return inner[0] if inner else unquote(parts.path).lstrip('/') or address


def uploaded_name(path: str) -> str:
    """Return the path of an upload without the random prefix of its name: 'upload/1/0a1b2c3d-1.jpg' is of '1.jpg'."""
    where = PurePosixPath(path)
    return str(where.with_name(without_prefix(where.name))) if 'upload' in where.parts else path


def without_prefix(name: str) -> str:
    """Return the name that a file had before it was uploaded: '0a1b2c3d-1.jpg' gives '1.jpg'."""
    return _UPLOADED.sub('', name)


def decode_brush(data: list[int], most: int | None = None) -> np.ndarray:
    """Return the values of a brush mask, uint8: thi.ng's rle-pack, see ``inference.exporters.label_studio``.

    Args:
        data: The bytes.
        most: How many values it may have; None: any number.

    Raises:
        InputError: The data end too early, or are of another size.
    """
    bits = np.unpackbits(np.array(data, np.uint8))
    at = 0

    def read(size: int) -> int:
        nonlocal at
        if at + size > bits.size:
            raise InputError('A brush mask of Label Studio is cut off.')
        value = int.from_bytes(
            np.packbits(np.concatenate([np.zeros(-size % 8, np.uint8), bits[at : at + size]])), 'big'
        )
        at += size
        return value

    count, word = read(32), read(5) + 1
    if most is not None and count > most:
        raise InputError(f'A brush mask of Label Studio has {count:,} values, more than the {most:,} of its frame.')
    sizes = [read(4) + 1 for _ in range(4)]
    values = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        repeated = read(1)
        stop = done + 1 + read(sizes[read(2)])
        if repeated:
            values[done:stop] = read(word)
        else:
            for index in range(done, min(stop, count)):
                values[index] = read(word)
        done = stop
    return values
