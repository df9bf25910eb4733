"""Evaluates a folder of predicted masks with the protocol of a data set, without a model.

    python tools/analysis_tools/eval_masks.py CONFIG MASKS [--out DIR] [--split test|val] \
        [--workers N] [--cfg-options KEY=VALUE …]

Data set and protocol are those of the config's test dataloader and evaluator. MASKS has PNGs of the original size,

    [Annotations/]VIDEO/EXPRESSION/FRAME.png    nonzero is the object; a submission folder works
    anno_0/VIDEO/FRAME.png, anno_1/…            Ref-DAVIS17 (RefDAVISMetric): label maps, one folder per annotator

FRAME is the name of the image, or for video files the number of the frame from 0 with five digits. Only annotated
frames are needed. The results equal those of ``tools/test.py`` with the same masks, except average precision over all
queries (A2D, JHMDB) and AbsenceMetric, which are omitted, and boxes (RefCOCO), which are those of the masks.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from ifirvos_cli.common import add_config_options, main_of, output_path, positive_int, tool_arguments


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('masks', type=Path)
    parser.add_argument('--out', type=output_path, help='folder for json and csv files; default: none are written')
    parser.add_argument('--split', choices=['test', 'val'], default='test', help='dataloader of the config')
    parser.add_argument('--workers', type=positive_int, default=min(8, os.cpu_count() or 1), help='number of processes')
    add_config_options(parser)
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

import ifirvos  # noqa: F401  isort: skip  (before mmcv: it may have to stand in for compiled operators)

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures import TrackDataSample
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData
from PIL import Image
from tqdm import tqdm

from ifirvos.config import load_config, need
from ifirvos.datasets.base_rvos_dataset import records_by_video
from ifirvos.errors import one_line
from ifirvos.evaluation.metrics.absence_metric import AbsenceMetric
from ifirvos.evaluation.metrics.expression_metric import ExpressionMetric
from ifirvos.evaluation.metrics.frame_iou_metric import FrameIoUMetric, annotated_frames
from ifirvos.evaluation.metrics.ref_davis_metric import ObjectScore, RefDAVISMetric
from ifirvos.evaluation.submission.files import ROOT
from ifirvos.files import check_folder
from ifirvos.frame_sizes import size_as_read
from ifirvos.label_maps import read_labels
from ifirvos.parallel import map_forked
from ifirvos.registry import DATASETS, METRICS, TRANSFORMS
from ifirvos.structures import frame_name
from ifirvos.training.evaluation_check import check_annotations


@TRANSFORMS.register_module(force=True)
class ReadImageSize(BaseTransform):
    """Stands in for LoadImageFromFile where only masks are compared: reads the header, not the picture."""

    def transform(self, results: dict) -> dict:
        """Add ``ori_shape`` and ``img_shape``."""
        with Image.open(results['img_path']) as picture:
            results['ori_shape'] = results['img_shape'] = size_as_read(picture)
        return results


def without_pictures(pipeline: Sequence[dict]) -> list[dict]:
    """Return the pipeline without reading and resizing pictures."""
    light = []
    for step in pipeline:
        if step['type'] == 'LoadImageFromFile':
            light.append(dict(type='ReadImageSize'))
        elif 'transforms' in step:
            light.append({**step, 'transforms': without_pictures(step['transforms'])})
        elif 'Resize' not in step['type']:
            light.append(step)
    return light


def light_dataset(cfg: dict) -> dict:
    """Return the data set's config with every pipeline in it :func:`without_pictures`."""
    light = dict(cfg)
    if 'pipeline' in light:
        light['pipeline'] = without_pictures(light['pipeline'])
    if isinstance(light.get('dataset'), dict):
        light['dataset'] = light_dataset(light['dataset'])
    if 'datasets' in light:
        light['datasets'] = [light_dataset(part) for part in light['datasets']]
    return light


def build_metrics(cfg: dict | Sequence[dict], out_dir: str | None) -> list[ExpressionMetric]:
    """Return the evaluator's metrics that need only masks."""
    metrics = []
    for part in [cfg] if isinstance(cfg, dict) else cfg:
        kind = METRICS.get(part['type'])
        # SubmissionWriter measures nothing; AbsenceMetric needs scores, and masks from files have none.
        if not issubclass(kind, ExpressionMetric) or issubclass(kind, AbsenceMetric):
            continue
        alone = dict(all_queries=False) if kind.__name__ == 'A2DMetric' else {}
        alone |= dict(masks_dir=None) if issubclass(kind, RefDAVISMetric) else {}
        metrics.append(METRICS.build({**part, **alone, 'out_dir': out_dir}))
    if not metrics:
        raise SystemExit(f'The evaluator of the config has no metric that scores masks: {cfg}')
    return metrics


class ExpressionScorer:
    """Scores folders with the masks of one expression each."""

    def __init__(self, dataset: BaseDataset, metric: ExpressionMetric, masks: Path) -> None:
        self.dataset, self.metric = dataset, metric
        self.root = masks / ROOT if (masks / ROOT).is_dir() else masks

    def parts(self) -> list[list[int]]:
        """Return the records of every video."""
        return list(records_by_video(map(self.dataset.get_data_info, range(len(self.dataset)))).values())

    def __call__(self, part: list[int]) -> list:
        records = []
        for index in part:
            sample = self.dataset[index]['data_samples']
            self.add_masks(sample)
            records.extend(self.metric.records_of(sample.to_dict()))
        return records

    def add_masks(self, sample: TrackDataSample) -> None:
        """Put the masks of the files where a model puts its own."""
        folder = self.root / sample.video_id / sample.exp_id
        whole = not isinstance(self.metric, FrameIoUMetric)
        for frame in sample.video_data_samples if whole else annotated_frames(sample.to_dict()):
            mask = read_labels([folder / f'{frame_name(frame)}.png'])[0] > 0
            x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
            frame.pred_track_instances = InstanceData(
                masks=torch.from_numpy(mask[None]),
                bboxes=torch.tensor([[x, y, x + width, y + height]], dtype=torch.float32),
                scores=torch.ones(1),
            )


class LabelMapScorer:
    """Scores Ref-DAVIS17's folders of label maps, one per annotator."""

    def __init__(self, dataset: BaseDataset, metric: RefDAVISMetric, masks: Path) -> None:
        self.dataset, self.metric, self.masks = dataset, metric, masks

    def parts(self) -> list[tuple[int, str, tuple[str, ...]]]:
        """Annotator, video, and the annotated label maps of its frames."""
        annotators = sorted(int(path.name[5:]) for path in self.masks.glob('anno_[0-9]*') if path.is_dir())
        if not annotators:
            raise SystemExit(f'{self.masks} has no folder anno_0, anno_1, … with label maps.')
        videos = {}
        for index in range(len(self.dataset)):
            info = self.dataset.get_data_info(index)
            videos.setdefault(info['video_id'], tuple(image['mask_path'] for image in info['images']))
        return [(annotator, video_id, paths) for annotator in annotators for video_id, paths in videos.items()]

    def __call__(self, part: tuple[int, str, tuple[str, ...]]) -> list[ObjectScore]:
        annotator, video_id, paths = part
        folder = self.masks / f'anno_{annotator}' / video_id
        pred = read_labels([folder / Path(path).name for path in paths])
        return self.metric.score(video_id, annotator, read_labels(paths), pred)


def score_all(scorer: ExpressionScorer | LabelMapScorer, workers: int) -> Iterator[list]:
    """Yield the records of every video, in order; videos are shared out among processes."""
    parts = scorer.parts()
    yield from tqdm(map_forked(scorer, parts, workers), total=len(parts), unit='video')


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Command line; returns the metrics, named as ``tools/test.py`` names them."""
    args = parse_args(argv)
    for path, what in ((args.config, 'config'), (args.masks, 'folder of masks')):
        if not path.exists():
            raise SystemExit(f'The {what} {path} does not exist.')
    if args.out is not None:
        check_folder(args.out)
    cfg = load_config(args.config, args.cfg_options, args.data_root, (args.split,), args.allow_unknown)
    need(cfg, (f'{args.split}_dataloader', f'{args.split}_evaluator'), args.config)
    cfg = cfg.to_dict()
    MMLogger.get_instance('eval_masks')  # the metrics log their tables to it
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    dataset = DATASETS.build(light_dataset(cfg[f'{args.split}_dataloader']['dataset']))
    results = {}
    for metric in build_metrics(cfg[f'{args.split}_evaluator'], args.out and str(args.out)):
        check_annotations(dataset, metric)
        scorer = (LabelMapScorer if isinstance(metric, RefDAVISMetric) else ExpressionScorer)(
            dataset, metric, args.masks
        )
        try:
            records = [record for part in score_all(scorer, args.workers) for record in part]
        except (FileNotFoundError, ValueError, KeyError) as error:
            raise SystemExit(f'These masks cannot be scored: {one_line(error)}') from error
        results |= {f'{metric.prefix}/{name}': value for name, value in metric.report(records).items()}
    return results


if __name__ == '__main__':
    sys.exit(main_of(main))
