"""Predictions for Label Studio: brush masks per frame, and boxes over the video.

``label_studio.json``: one task per frame with masks (``<BrushLabels>``); ``label_studio_video.json``: one task for the
video with boxes (``<VideoRectangle>``; Label Studio has no masks on videos); ``label_studio_config.xml`` and
``label_studio_video_config.xml``: their labelling configs. Formats:
https://labelstud.io/guide/predictions, https://labelstud.io/tags/brushlabels, https://labelstud.io/tags/videorectangle
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from ifirvos.inference.results import FrameResult

from .together import FRAME_FILE, ExportSink, Together, distinct_labels

LOCAL_FILES = '/data/local-files/?d='  # where Label Studio serves a local storage, from its document root on
_WORD, _SIZES = 8, (3, 4, 8, 16)  # bits of a value; bits of a run's length, four choices
_LONGEST = 1 << _SIZES[-1]


def brush_rle(mask: np.ndarray) -> list[int]:
    """Return a mask in Label Studio's code: the runs of an RGBA image, as bytes (thi.ng's rle-pack).

    A header (32 bits: number of values; 5: bits of a value less 1; four times 4: bits of a length less 1), then runs (1
    bit: one value repeated; 2: which kind of length; the length less 1; the value), padded to whole bytes.

    Args:
        mask: bool (H, W).
    """
    flat = np.asarray(mask, bool).ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])
    bits = [f'{flat.size * 4:032b}{_WORD - 1:05b}', *(f'{size - 1:04b}' for size in _SIZES)]
    for start, stop in zip(starts, starts[1:], strict=False):
        value = f'{255 if flat[start] else 0:08b}'
        left = 4 * int(stop - start)
        while left:
            length = min(left, _LONGEST)
            bits.append(f'1{len(_SIZES) - 1:02b}{length - 1:016b}{value}')
            left -= length
    text = ''.join(bits)
    text += '0' * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, 'big'))


def _brush(one: FrameResult, label: str, sentence_id: int) -> dict:
    height, width = one.mask.shape
    return dict(
        id=f'{sentence_id:x}-{one.number}',
        type='brushlabels',
        from_name='tag',
        to_name='image',
        original_width=width,
        original_height=height,
        image_rotation=0,
        value=dict(format='rle', rle=brush_rle(one.mask), brushlabels=[label]),
        score=round(one.score, 6),
    )


def _keyframe(one: FrameResult, stays: bool) -> dict:
    """Return a frame of a box's track, in percent of the frame; ``stays`` is false in the last before it vanishes."""
    height, width = one.mask.shape
    x1, y1, x2, y2 = one.box
    return dict(
        frame=one.number + 1,  # Label Studio counts from 1
        time=round(float(one.time), 6),
        enabled=stays,
        rotation=0,
        x=100 * x1 / width,
        y=100 * y1 / height,
        width=100 * (x2 - x1) / width,
        height=100 * (y2 - y1) / height,
    )


def _interface(kind: str, labels: Sequence[str]) -> str:
    names = ''.join(f'    <Label value={quoteattr(label)}/>\n' for label in labels)
    if kind == 'image':
        return (
            f'<View>\n  <Image name="image" value="$image" zoom="true"/>\n  <BrushLabels name="tag" toName="image">\n'
            f'{names}  </BrushLabels>\n</View>\n'
        )
    return (
        '<View>\n  <Video name="video" value="$video" frameRate="$fps"/>\n'
        '  <VideoRectangle name="box" toName="video"/>\n'
        f'  <Labels name="videoLabels" toName="video">\n{names}  </Labels>\n</View>\n'
    )


@contextmanager
def label_studio(to: Together) -> Iterator[ExportSink]:
    """Write the masks frame by frame, and the boxes at the end."""
    labels = distinct_labels(to.texts, 255)
    (to.folder / 'label_studio_config.xml').write_text(_interface('image', labels), encoding='utf-8')
    (to.folder / 'label_studio_video_config.xml').write_text(_interface('video', labels), encoding='utf-8')
    tracks: list[list[dict]] = [[] for _ in labels]
    last: list[FrameResult | None] = [None] * len(labels)
    scores: list[list[float]] = [[] for _ in labels]
    num_frames = 0
    with (to.folder / 'label_studio.json').open('w', encoding='utf-8') as file:
        file.write('[')

        def write(frame: Sequence[FrameResult]) -> None:
            nonlocal num_frames
            brushes = []
            for index, one in enumerate(frame):
                seen = one.present and one.mask.any()
                if last[index] is not None:
                    tracks[index].append(_keyframe(last[index], bool(seen)))
                last[index] = one if seen else None
                if seen:
                    scores[index].append(one.score)
                    brushes.append(_brush(one, labels[index], to.sentence_ids[index]))
            task = dict(
                data=dict(image=LOCAL_FILES + FRAME_FILE.format(frame[0].number), frame=frame[0].number),
                predictions=[dict(model_version='ifirvos', result=brushes)],
            )
            file.write((',\n' if num_frames else '\n') + json.dumps(task))
            num_frames += 1

        yield write
        file.write('\n]\n')
    for track, one in zip(tracks, last, strict=True):
        if one is not None:
            track.append(_keyframe(one, False))
    boxes = [
        dict(
            id=f'{sentence_id:x}',
            type='videorectangle',
            from_name='box',
            to_name='video',
            value=dict(framesCount=num_frames, duration=num_frames / float(to.fps), sequence=track, labels=[label]),
            score=round(float(np.mean(of_frames)), 6),
        )
        for sentence_id, label, track, of_frames in zip(to.sentence_ids, labels, tracks, scores, strict=True)
        if track
    ]
    # Served below a folder: Label Studio refuses a storage that is its whole root.
    data = dict(video=LOCAL_FILES + quote(f'video/{to.video}'), fps=f'{float(to.fps):g}')
    task = dict(data=data, predictions=[dict(model_version='ifirvos', result=boxes)])
    (to.folder / 'label_studio_video.json').write_text(json.dumps([task], indent=1), encoding='utf-8')
