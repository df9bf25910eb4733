"""CVAT's own format, "CVAT for video 1.1" and "CVAT for images 1.1": https://docs.cvat.ai/docs/other/xml_format

A track is an object. CVAT tracks no masks: the format for images holds them as they are, the format for video as tracks
of one frame each. Such shapes of one group are one object, else those with the same label and the same sentences. An
attribute ``sentence`` or ``expression`` holds the sentence of an object; several are separated by line breaks or
semicolons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import numpy as np

from ifirvos.errors import InputError
from ifirvos.json_files import read_regular
from ifirvos.run_lengths import encode_mask
from ifirvos.video.sources import IMAGE_SUFFIXES

from .video import CustomObject, CustomVideo, box_to_rle, checked_size, refuse_box, to_rle

_SENTENCE_ATTRIBUTES = ('sentence', 'sentences', 'expression', 'expressions')


def read_cvat(path: Path, fill_boxes: bool = False) -> list[CustomVideo]:
    """Read the ``annotations.xml`` of a task or a job.

    Raises:
        InputError: It is no such file.
    """
    text = read_regular(path, what='export').decode('utf-8-sig')
    if '<!DOCTYPE' in text or '<!ENTITY' in text:
        raise InputError(f'{path} declares a document type, which no export of CVAT does.')
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(f'{path} is not XML: {error}.') from error
    if root.tag != 'annotations':
        raise InputError(f'{path} begins with <{root.tag}>, not with the <annotations> of CVAT.')
    if root.find('meta/project') is not None:
        raise InputError(f'{path} is of a whole project, whose tasks number their frames alike: export each task.')
    if root.find('image') is not None:
        return _images(root, path, fill_boxes)
    return _tracks(root, path, fill_boxes)


def _tracks(root: ElementTree.Element, path: Path, fill_boxes: bool) -> list[CustomVideo]:
    size = _size(root.find('meta'), path)
    objects: dict[tuple, CustomObject] = {}
    for number, track in enumerate(root.findall('track')):
        shapes = [shape for shape in track if shape.tag != 'attribute' and shape.get('outside') != '1']
        name = track.get('id', f'{number}')
        sentences = _sentences(track)
        if len(shapes) == 1:
            one = _object_of_shape(objects, track, sentences)
        else:
            one = objects[name,] = CustomObject(name, track.get('label', 'object'), sentences)
        for shape in shapes:
            frame = int(shape.get('frame', -1))
            one.add(frame, _rle(shape, size, f'{path}, track {name}, frame {frame}', fill_boxes))
    return [CustomVideo(_name(root, path), list(objects.values()), None, _frames(root, objects.values(), path))]


def _images(root: ElementTree.Element, path: Path, fill_boxes: bool) -> list[CustomVideo]:
    objects: dict[tuple, CustomObject] = {}
    images = root.findall('image')
    stems = [PurePosixPath(image.get('name', '')) for image in images]
    # Of a task of pictures the names count: CVAT numbers frame10 before frame2. Frames of a video have no ending.
    named = all(stem.suffix.lower() in IMAGE_SUFFIXES for stem in stems)
    for place, image in enumerate(images):
        number, size = int(image.get('id')), (int(image.get('height')), int(image.get('width')))
        number = place if named else number
        for shape in image:
            if shape.tag != 'tag':
                one = _object_of_shape(objects, shape, _sentences(shape))
                one.add(number, _rle(shape, size, f'{path}, image {image.get("id")}', fill_boxes))
    if named:
        return [CustomVideo(_name(root, path), list(objects.values()), stems=[stem.stem for stem in stems])]
    return [CustomVideo(_name(root, path), list(objects.values()), None, _frames(root, objects.values(), path))]


def _object_of_shape(
    objects: dict[tuple, CustomObject], element: ElementTree.Element, sentences: list[str]
) -> CustomObject:
    """Return the object that an untracked shape belongs to: that of its group, else of its label and sentences."""
    group, label = element.get('group_id', '0'), element.get('label', 'object')
    key = ('group', group) if group != '0' else ('label', label, *sentences)
    one = objects.setdefault(key, CustomObject(f'group {group}' if group != '0' else label, label))
    one.sentences += [text for text in sentences if text not in one.sentences]
    return one


def _sentences(element: ElementTree.Element) -> list[str]:
    """Return the different sentences of the attributes below an element."""
    return list(dict.fromkeys(text for attribute in element.iter('attribute') for text in _said(attribute)))


def _rle(shape: ElementTree.Element, size: tuple[int, int], where: str, fill_boxes: bool) -> dict:
    try:
        checked_size(size, where)
        if shape.tag == 'mask':
            left, top, width, height = (int(shape.get(key)) for key in ('left', 'top', 'width', 'height'))
            runs = [int(run) for run in shape.get('rle').split(',')]
            if min(runs) < 0 or sum(runs) != height * width:
                raise InputError(f'{where}: the runs of a mask of {width}x{height} cover {sum(runs)} pixels.')
            if not (0 <= top <= top + height <= size[0] and 0 <= left <= left + width <= size[1]):
                raise InputError(f'{where}: a mask of {width}x{height} at {left}, {top} leaves the frame.')
            part = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
            mask = np.zeros(size, bool)
            mask[top : top + height, left : left + width] = part
            return encode_mask(mask)
        if shape.tag == 'polygon':
            points = [float(value) for point in shape.get('points').split(';') for value in point.split(',')]
            return to_rle([points], size, where)
        if shape.tag == 'box':
            if not fill_boxes:
                refuse_box(where)
            return box_to_rle(tuple(float(shape.get(key)) for key in ('xtl', 'ytl', 'xbr', 'ybr')), size)
    except (TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f'{where}: the <{shape.tag}> cannot be read: {error}.') from error
    raise InputError(f'{where} has a <{shape.tag}>: only masks and polygons (and boxes, with --boxes fill) are read.')


def _said(attribute: ElementTree.Element) -> list[str]:
    if attribute.get('name', '').lower() not in _SENTENCE_ATTRIBUTES:
        return []
    return [text.strip() for text in re.split(r'[;\n]', attribute.text or '') if text.strip()]


def _size(meta: ElementTree.Element | None, path: Path) -> tuple[int, int]:
    size = None if meta is None else next(meta.iter('original_size'), None)
    if size is None:
        raise InputError(
            f'{path} has no <original_size>: its task is of pictures, not of a video. Export it as CVAT for images '
            '1.1, with a group or a sentence for every object.'
        )
    return int(size.findtext('height')), int(size.findtext('width'))


def _name(root: ElementTree.Element, path: Path) -> str:
    """Return the name of the task's video, else that of the task, else that of the file's folder."""
    for tag in ('source', 'name'):
        found = next(root.iter(tag), None) if tag == 'source' else root.find('meta/task/name')
        if found is not None and found.text:
            return Path(found.text.strip()).name
    return path.stem if path.stem != 'annotations' else path.parent.name


def _frames(root: ElementTree.Element, objects: Iterable[CustomObject], path: Path) -> range | None:
    """Return the frames of the video that the task or job has; None if it does not say."""
    part = root.find('meta/task')
    if part is None:
        part = root.find('meta/job')
    if part is None:
        return None
    start, stop = (int(part.findtext(tag) or default) for tag, default in (('start_frame', 0), ('stop_frame', -1)))
    found = re.search(r'step\s*=\s*(\d+)', part.findtext('frame_filter') or '')
    if stop < 0:
        return None
    frames = range(start, stop + 1, int(found.group(1)) if found else 1)
    outside = [frame for one in objects for frame in one.masks if frame not in frames]
    if outside:
        raise InputError(f'{path} has a mask in frame {outside[0]}, which is not of its {part.tag}: export the task.')
    return frames
