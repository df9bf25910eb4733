"""COCO json of a video's frames: one category and one track per sentence.

``coco.json`` is a COCO-VID data set (``videos``, ``images``, ``annotations``, ``categories``) for pycocotools' ``COCO``
and supervision's ``DetectionDataset.from_coco``; ``coco_results.json`` is the list that ``COCO.loadRes`` takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pycocotools import mask as rle_tools

from ifirvos.inference.results import FrameResult
from ifirvos.run_lengths import encode_mask, json_code

from .together import FRAME_FILE, ExportSink, Together, stable_id


@contextmanager
def coco(to: Together) -> Iterator[ExportSink]:
    """Write both files frame by frame; a frame without the object has no annotation."""
    height, width = to.size
    head = dict(
        info=dict(description='made by ifirvos'),
        videos=[dict(id=to.video_id, name=to.video, width=width, height=height, fps=float(to.fps))],
        categories=[dict(id=index, name=text, supercategory='object') for index, text in enumerate(to.texts, 1)],
    )
    images: list[dict] = []
    with (
        (to.folder / 'coco.json').open('w', encoding='utf-8') as data_set,
        (to.folder / 'coco_results.json').open('w', encoding='utf-8') as results,
    ):
        data_set.write(f'{json.dumps(head)[:-1]}, "annotations": [')
        results.write('[')
        separator = '\n'

        def write(frame: Sequence[FrameResult]) -> None:
            nonlocal separator
            number = frame[0].number
            image_id = stable_id(str(to.video_id), str(number))
            images.append(
                dict(
                    id=image_id,
                    file_name=FRAME_FILE.format(number),
                    width=width,
                    height=height,
                    video_id=to.video_id,
                    frame_id=number,
                )
            )
            for index, (one, sentence_id) in enumerate(zip(frame, to.sentence_ids, strict=True), 1):
                if not one.present or not one.mask.any():
                    continue
                rle = encode_mask(one.mask)
                result = dict(
                    image_id=image_id,
                    category_id=index,
                    segmentation=json_code(rle),
                    bbox=rle_tools.toBbox(rle).tolist(),
                    score=round(one.score, 6),
                )
                annotation = dict(
                    id=stable_id(str(sentence_id), str(number)),
                    **result,
                    area=int(rle_tools.area(rle)),
                    iscrowd=0,
                    video_id=to.video_id,
                    instance_id=sentence_id,
                )
                # loadRes turns boxes into polygons, so the results have only masks.
                del result['bbox']
                data_set.write(separator + json.dumps(annotation))
                results.write(separator + json.dumps(result))
                separator = ',\n'

        yield write
        data_set.write(f'\n], "images": {json.dumps(images)}}}\n')
        results.write('\n]\n')
