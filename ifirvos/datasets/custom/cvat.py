"""CVAT's own format, "CVAT for video 1.1" and "CVAT for images 1.1": https://docs.cvat.ai/docs/other/xml_format

A video's tracks are its objects; in the format for images, where objects have no numbers, the shapes of one label are
one object. An attribute ``sentence`` or ``expression`` holds what is said of an object; several are separated by line
breaks or semicolons.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ifirvos.errors import InputError

from .boxes import refuse_box
from .video import CustomObject, CustomVideo, box_to_rle, mask_to_rle, to_rle

_SENTENCE_ATTRIBUTES = ('sentence', 'sentences', 'expression', 'expressions')


def read_cvat(path: Path, fill_boxes: bool = False) -> list[CustomVideo]:
    """Read the ``annotations.xml`` of a task.

    Raises:
        InputError: It is no such file.
    """
    text = path.read_text(encoding='utf-8')
    if '<!DOCTYPE' in text or '<!ENTITY' in text:
        raise InputError(f'{path} declares a document type, which no export of CVAT does.')
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(f'{path} is not XML: {error}.') from error
    if root.tag != 'annotations':
        raise InputError(f'{path} begins with <{root.tag}>, not with the <annotations> of CVAT.')
    if root.find('image') is not None:
        return _images(root, path, fill_boxes)
    return _tracks(root, path, fill_boxes)


def _tracks(root: ElementTree.Element, path: Path, fill_boxes: bool) -> list[CustomVideo]:
    size = _size(root.find('meta'), path)
    objects = []
    for track in root.findall('track'):
        label = track.get('label', 'object')
        one = CustomObject(f'{track.get("id", len(objects))}', label)
        for shape in track:
            if shape.tag == 'attribute' or shape.get('outside') == '1':
                continue
            frame = int(shape.get('frame', -1))
            one.add(frame, _rle(shape, size, f'{path}, track {one.name}, frame {frame}', fill_boxes))
        for attribute in track.iter('attribute'):
            one.sentences += [text for text in _said(attribute) if text not in one.sentences]
        objects.append(one)
    return [CustomVideo(_name(root, path), objects, None, _frames(root))]


def _images(root: ElementTree.Element, path: Path, fill_boxes: bool) -> list[CustomVideo]:
    objects: dict[str, CustomObject] = {}
    numbers = []
    for image in root.findall('image'):
        number, size = int(image.get('id')), (int(image.get('height')), int(image.get('width')))
        numbers.append(number)
        for shape in image:
            if shape.tag == 'tag':
                continue
            label = shape.get('label', 'object')
            one = objects.setdefault(label, CustomObject(label, label))
            one.add(number, _rle(shape, size, f'{path}, image {number}', fill_boxes))
            for attribute in shape.iter('attribute'):
                one.sentences += [text for text in _said(attribute) if text not in one.sentences]
    return [CustomVideo(_name(root, path), list(objects.values()), None, _frames(root))]


def _rle(shape: ElementTree.Element, size: tuple[int, int], where: str, fill_boxes: bool) -> dict:
    try:
        if shape.tag == 'mask':
            left, top, width, height = (int(shape.get(key)) for key in ('left', 'top', 'width', 'height'))
            runs = [int(run) for run in shape.get('rle').split(',')]
            part = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
            mask = np.zeros(size, bool)
            mask[top : top + height, left : left + width] = part
            return mask_to_rle(mask)
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
        raise InputError(f'{path} has no <original_size>, so the size of its frames is not known: export it again.')
    return int(size.findtext('height')), int(size.findtext('width'))


def _name(root: ElementTree.Element, path: Path) -> str:
    """Return the name of the task's video, else that of the task, else that of the file's folder."""
    for tag in ('source', 'name'):
        found = next(root.iter(tag), None) if tag == 'source' else root.find('meta/task/name')
        if found is not None and found.text:
            return Path(found.text.strip()).name
    return path.stem if path.stem != 'annotations' else path.parent.name


def _frames(root: ElementTree.Element) -> range | None:
    """Return the frames of the task where it does not have all of the video's: a start, a step."""
    task = root.find('meta/task')
    if task is None:
        return None
    start, stop = (int(task.findtext(tag) or default) for tag, default in (('start_frame', 0), ('stop_frame', -1)))
    found = re.search(r'step\s*=\s*(\d+)', task.findtext('frame_filter') or '')
    step = int(found.group(1)) if found else 1
    if stop < 0 or (start == 0 and step == 1):
        return None
    return range(start, stop + 1, step)
