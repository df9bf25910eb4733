"""Ref-DAVIS17: merges the objects per annotator, evaluates them as the unsupervised DAVIS 2017 task, and averages."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log

from ifirvos.errors import InputError, MissingKeyError
from ifirvos.files import make_folder
from ifirvos.label_maps import read_labels, write_palette_png
from ifirvos.registry import METRICS
from ifirvos.structures import frame_name

from ..functional.davis17 import evaluate_unsupervised, merge_objects
from ..functional.masks import sequence_statistics
from .expression_metric import ExpressionMetric
from .samples import meta, prediction


@dataclass(frozen=True)
class ObjectPrediction:
    """The mask probabilities of an expression, without the pixels below the threshold.

    These are most pixels: all probabilities of the validation set would take about 30 GB.
    """

    video_id: str
    annotator: int
    obj_id: int
    mask_paths: tuple[str, ...]  # the annotated label map of every frame
    frames: tuple[str, ...]  # their names
    size: tuple[int, int]  # (H, W)
    pixels: tuple[np.ndarray, ...]  # of every frame: packed bits of the pixels kept
    values: tuple[np.ndarray, ...]  # of every frame: their probabilities, float32

    @property
    def key(self) -> tuple[str, int, int]:
        return self.video_id, self.annotator, self.obj_id

    def probability(self, t: int) -> np.ndarray:
        """Return frame ``t``: float32 (H, W), 0 where it was below the threshold."""
        height, width = self.size
        dense = np.zeros(height * width, np.float32)
        dense[np.unpackbits(self.pixels[t], count=height * width).view(bool)] = self.values[t]
        return dense.reshape(height, width)


@dataclass(frozen=True)
class ObjectScore:
    """J and F of one annotated object with one annotator's expressions, (T,) each, in [0, 1]."""

    video_id: str
    annotator: int
    obj_id: int
    region: np.ndarray
    contour: np.ndarray

    @property
    def group(self) -> str:
        return f'anno_{self.annotator}'


@METRICS.register_module()
class RefDAVISMetric(ExpressionMetric):
    """J, F and J&F of Ref-DAVIS17 in percent: of every annotator, and the mean of the annotators.

    A sample is one expression on its whole video, with metainfo ``video_id``, ``annotator`` (int, 0 to 3) and
    ``obj_id`` (int) beside the usual. Its frames hold ``pred_track_instances.mask_probs``, float (1, H, W) at the
    original size, which the model fills with ``test_cfg.mask_probs=True``, and the metainfo ``mask_path``: the whole
    annotated label map, a palette PNG with all objects and 255 for void. (``gt_instances`` are not used: they hold one
    object.)

    For every annotator the objects of a video are merged (`merge_objects`), and the label maps are evaluated by
    `evaluate_unsupervised`. Means are over all objects of all videos, as the official code takes them, then over
    annotators. An annotated object without an expression counts as not found.

    Logged under ``davis/``: ``J&F``, ``J``, ``F``, ``J_recall``, ``J_decay``, ``F_recall``, ``F_decay``, ``n`` (pairs
    of annotator and object), ``expressions``, the interval ``J&F_low``, ``J&F_high``, and the same for every annotator,
    as ``anno_0/J&F``.

    Args:
        threshold: Lower probabilities count as 0.
        background: Probability of the background.
        bound_th: Tolerance of F, see `contour_accuracy`.
        masks_dir: Where to write the merged label maps, as ``anno_0/VIDEO/FRAME.png``, which the official code and
            ``tools/analysis_tools/eval_masks.py`` read. None: nowhere.
        **kwargs: Arguments of :class:`ExpressionMetric` but ``group_by``: results are grouped by annotator.
    """

    default_prefix = 'davis'
    TITLE = 'Ref-DAVIS17: region similarity J and contour accuracy F'
    COLUMNS = ('J&F', 'J', 'F', 'J_recall', 'J_decay', 'F_recall', 'F_decay', 'n')
    INTERVAL_OF = 'J&F'
    COUNT = 'expressions'

    def __init__(
        self,
        *,
        threshold: float = 0.5,
        background: float = 0.1,
        bound_th: float = 0.008,
        masks_dir: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(group_by='annotator', **kwargs)
        self.threshold = threshold
        self.background = background
        self.bound_th = bound_th
        self.masks_dir = masks_dir

    def records_of(self, sample: dict) -> Iterable[ObjectPrediction]:
        """Return one record: the mask probabilities of the expression."""
        frames = sample['video_data_samples']
        pixels, values, sizes = [], [], set()
        for frame in frames:
            probability = prediction(frame, 'mask_probs', remedy='set test_cfg.mask_probs=True in the model')
            probability = torch.as_tensor(probability)[0].float().cpu().numpy()
            kept = probability >= self.threshold
            pixels.append(np.packbits(kept))
            values.append(probability[kept])
            sizes.add(probability.shape)
            if frame.get('mask_path') is None:
                raise MissingKeyError("a frame has no 'mask_path': add it to meta_keys of the last transform")
        if len(sizes) != 1:
            raise InputError(f'video {sample.get("video_id")} has frames of {len(sizes)} sizes, expected one: {sizes}')
        yield ObjectPrediction(
            str(meta(sample, 'video_id')),
            int(meta(sample, 'annotator')),
            int(meta(sample, 'obj_id')),
            tuple(frame.mask_path for frame in frames),
            tuple(frame_name(frame) for frame in frames),
            sizes.pop(),
            tuple(pixels),
            tuple(values),
        )

    def compute_metrics(self, results: list[ObjectPrediction]) -> dict[str, float]:
        """Merge the objects and evaluate them; log the table and write the files."""
        unique = {record.key: record for record in reversed(results)}  # of equal ones the first counts
        parts: dict[tuple[str, int], list[ObjectPrediction]] = defaultdict(list)
        for key in sorted(unique):
            parts[key[:2]].append(unique[key])
        scores = []
        for (video_id, annotator), objects in parts.items():
            labels = self.merge(objects)
            if self.masks_dir is not None:
                folder = Path(self.masks_dir) / f'anno_{annotator}' / video_id
                make_folder(folder)
                for frame, frame_labels in zip(objects[0].frames, labels, strict=True):
                    write_palette_png(folder / f'{frame}.png', frame_labels)
            scores.extend(self.score(video_id, annotator, read_labels(objects[0].mask_paths), labels))
        return self.report(scores) | {self.COUNT: len(unique)}

    def merge(self, objects: Sequence[ObjectPrediction]) -> np.ndarray:
        """Return the label map of one annotator's objects in a video, uint8 (T, H, W)."""
        first = objects[0]
        return np.stack(
            [
                merge_objects((item.probability(t) for item in objects), first.size, self.threshold, self.background)
                for t in range(len(first.frames))
            ]
        )

    def score(self, video_id: str, annotator: int, gt: np.ndarray, pred: np.ndarray) -> list[ObjectScore]:
        """Score the objects of a video: label maps uint8 (T, H, W), the annotated and the predicted one.

        Raises:
            ValueError: if they cannot be compared; names the video.
        """
        try:
            regions, contours = evaluate_unsupervised(gt, pred, self.bound_th)
        except ValueError as error:
            raise InputError(f'video {video_id}, annotator {annotator}: {error}') from error
        return [
            ObjectScore(video_id, annotator, obj_id, region, contour)
            for obj_id, (region, contour) in enumerate(zip(regions, contours, strict=True), 1)
        ]

    def report(self, records: Sequence[ObjectScore]) -> dict[str, float]:
        """Report as the parent does; warn if the annotators do not cover the same videos."""
        videos = defaultdict(set)
        for score in records:
            videos[score.group].add(score.video_id)
        if len({frozenset(names) for names in videos.values()}) > 1:
            print_log('The annotators do not cover the same videos.', logger='current', level=logging.WARNING)
        return super().report(records)

    def measure(self, records: Sequence[ObjectScore]) -> dict[str, float]:
        """Return means over the objects of each annotator, then over annotators."""
        per_annotator = defaultdict(list)
        for score in records:
            per_annotator[score.annotator].append(_statistics(score))
        means = 100 * np.mean([np.mean(rows, axis=0) for rows in per_annotator.values()], axis=0)
        names = ('J', 'J_recall', 'J_decay', 'F', 'F_recall', 'F_decay')
        measures = dict(zip(names, means.tolist(), strict=True))
        return {'J&F': (measures['J'] + measures['F']) / 2} | measures | {'n': len(records)}

    def value(self, record: ObjectScore) -> float:
        """Return J&F of an object."""
        return float(record.region.mean() + record.contour.mean()) / 2

    def details(self, records: Sequence[ObjectScore]) -> dict[str, list[Mapping[str, Any]]]:
        """Return a table of the objects and one of the videos."""
        columns = ('J&F', 'J', 'F', 'J_recall', 'J_decay', 'F_recall', 'F_decay')
        objects, videos = [], defaultdict(list)
        for score in records:
            measures = self.measure([score])
            row = dict(annotator=score.annotator, video_id=score.video_id, object=score.obj_id)
            objects.append(row | {f'{key} [%]': measures[key] for key in columns})
            videos[score.video_id].append(score)
        rows = []
        for video_id, scores in videos.items():
            measures = self.measure(scores)
            rows.append(dict(video_id=video_id) | {f'{key} [%]': measures[key] for key in columns})
        return dict(objects=objects, videos=rows)

    def about(self) -> dict[str, Any]:
        """Return how objects are merged and compared."""
        return dict(threshold=self.threshold, background=self.background, bound_th=self.bound_th)


def _statistics(score: ObjectScore) -> tuple[float, ...]:
    return *sequence_statistics(score.region), *sequence_statistics(score.contour)
