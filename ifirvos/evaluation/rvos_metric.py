"""J, F and J&F of expressions over whole videos, as Ref-YouTube-VOS averages them."""

import logging
import os.path as osp
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.dist import get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log

from ifirvos.registry import METRICS

from .functional import contour_accuracy, region_similarity
from .summary import NO_GROUP, ExpressionScore, format_table, summarize, write_report

_CHUNK_FRAMES = 32  # compared at once: bounds the memory for long videos


@METRICS.register_module()
class RVOSMetric(BaseMetric):
    """Region similarity J, contour accuracy F and J&F, in percent, overall and by a key of the metainfo.

    A sample is one expression on its whole video: a ``TrackDataSample`` with metainfo ``video_id``, ``exp_id``,
    ``text`` and the ``group_by`` key, whose frames hold ``gt_instances.masks`` and ``pred_track_instances.masks`` at
    the original size. Several instances of a frame count as one mask, their union; none as an empty mask.

    J and F of an expression are its means over all frames, those of a group or of the data set the means over
    expressions. A frame without the object scores 1 if nothing is predicted in it, else 0 (F: see `contour_accuracy`
    on masks that fill the frame).

    Logged under ``rvos/``: ``J&F``, ``J``, ``F``, ``S`` (share of expressions with J > 0.5), ``n`` (expressions), the
    interval ``J&F_low``, ``J&F_high``, and for every group ``attr/J&F``, ``attr/J`` and so on.

    The parent is mmengine's BaseMetric, not mmdet's BaseVideoMetric: that one hands over the frames without the
    metainfo of the sample.

    Args:
        group_by: metainfo key to group by, such as 'kind'. None: no groups.
        bound_th: tolerance of F, see `contour_accuracy`.
        bootstrap: draws for the confidence interval of J&F (whole videos are drawn); 0 for no interval.
        confidence: share of the draws that the interval holds.
        seed: of the draws.
        out_dir: where `write_report` puts its json and csv files. None: beside the log file of the run, if it has one.
        collect_device: where results of several processes are collected, 'cpu' or 'gpu'.
        prefix: of the logged names, in place of 'rvos'.
    """

    default_prefix = 'rvos'

    def __init__(
        self,
        *,
        group_by: str | None = None,
        bound_th: float = 0.008,
        bootstrap: int = 1000,
        confidence: float = 0.95,
        seed: int = 0,
        out_dir: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.group_by = group_by
        self.bound_th = bound_th
        self.interval = dict(bootstrap=bootstrap, confidence=confidence, seed=seed)
        self.out_dir = out_dir

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Scores a batch.

        Args:
            data_batch: not used.
            data_samples: of every clip what ``TrackDataSample.to_dict`` returns.

        Raises:
            KeyError: if a sample lacks a metainfo key, or a frame its annotation or prediction.
            ValueError: if a predicted mask has another size than the annotated one.
        """
        for sample in data_samples:
            video_id, exp_id, text = (_meta(sample, key) for key in ('video_id', 'exp_id', 'text'))
            group = None if self.group_by is None else str(_meta(sample, self.group_by)) or NO_GROUP
            frames = sample['video_data_samples']
            region, contour = np.concatenate(
                [
                    (region_similarity(gt, pred), contour_accuracy(gt, pred, bound_th=self.bound_th))
                    for gt, pred in _mask_chunks(frames)
                ],
                axis=1,
            ).mean(axis=1)
            self.results.append(
                ExpressionScore(str(video_id), str(exp_id), text, group, len(frames), float(region), float(contour))
            )

    def evaluate(self, size: int) -> dict[str, float]:
        """As the parent, but does not cut the collected results to ``size``, the number of samples of the data set.

        The parent cuts off what a distributed sampler repeats at the end. Here repeated samples are known by their ids,
        whatever the order in which the sampler hands them out.
        """
        metrics = super().evaluate(size * get_world_size())
        counted = metrics[f'{self.prefix}/n']
        if counted != size:
            print_log(
                f'The data set has {size} samples, but {counted} expressions (video_id, exp_id) were evaluated.',
                logger='current',
                level=logging.WARNING,
            )
        return metrics

    def compute_metrics(self, results: list[ExpressionScore]) -> dict[str, float]:
        """Means over the expressions, each counted once; logs the table and writes the files."""
        logger = MMLogger.get_current_instance()
        unique: dict[tuple[str, str], ExpressionScore] = {}
        for score in results:
            unique.setdefault((score.video_id, score.exp_id), score)
        scores = list(unique.values())
        summary = summarize(scores, **self.interval)
        logger.info('Region similarity J and contour accuracy F in percent\n%s', format_table(summary, self.group_by))
        out_dir = self.out_dir or (logger.log_file and osp.dirname(logger.log_file))
        if out_dir:
            write_report(out_dir, summary, scores, group_by=self.group_by, bound_th=self.bound_th, **self.interval)
            logger.info('Scores of every expression are in %s', out_dir)
        groups = {f'{name}/{key}': value for name, row in summary['groups'].items() for key, value in row.items()}
        return summary['overall'] | groups


def _meta(sample: dict, key: str) -> object:
    if key not in sample:
        raise KeyError(f"a sample has no metainfo '{key}': add it to meta_keys of the pipeline's last transform")
    return sample[key]


def _mask_chunks(frames: Sequence[DetDataSample]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Annotated and predicted masks of some frames at a time, bool (T, H, W) each."""
    for start in range(0, len(frames), _CHUNK_FRAMES):
        chunk = frames[start : start + _CHUNK_FRAMES]
        gts = [_mask(frame, 'gt_instances') for frame in chunk]
        preds = [_mask(frame, 'pred_track_instances') for frame in chunk]
        for gt, pred, frame in zip(gts, preds, chunk, strict=True):
            if gt.shape != pred.shape:
                raise ValueError(
                    f'{frame.get("img_path")}: the annotated mask is {gt.shape} but the predicted one {pred.shape}; '
                    'both must have the original size, so load annotations after the resize'
                )
        yield np.stack(gts), np.stack(preds)


def _mask(frame: DetDataSample, field: str) -> np.ndarray:
    """The union of a frame's instances, bool (H, W)."""
    instances = frame.get(field)
    if instances is None or 'masks' not in instances:
        what = 'annotation' if field == 'gt_instances' else 'prediction'
        raise KeyError(f'{frame.get("img_path")} has no {what}: {field}.masks is missing')
    masks = instances.masks
    if isinstance(masks, torch.Tensor):
        return masks.any(dim=0).cpu().numpy()
    return (masks if isinstance(masks, np.ndarray) else masks.to_ndarray()).any(axis=0)  # mmdet's BitmapMasks
