"""Analyses a checkpoint beyond J and F, expression by expression.

    python tools/analysis_tools/probe.py CONFIG CHECKPOINT --out FILE.csv [--per-kind N]

For every expression of the config's test set, in percent: J and F; the J of the best query (shows whether masks or
choice are wrong); the IoU of the masks with those of the reversed clip (100: the order of frames has no effect); J and
F with the frames in random order; the J of a random object. ablate.py makes tables of these files. FILE.json has the
settings.
"""

import argparse
import json
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from ifirvos_cli.common import (
    add_config_options,
    main_of,
    output_path,
    positive_int,
    seed_number,
    tool_arguments,
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--out', type=output_path, required=True, help='the csv file to write')
    parser.add_argument('--per-kind', type=positive_int, help='number of expressions per kind')
    parser.add_argument('--seed', type=seed_number, default=0, help='seed of the random order')
    parser.add_argument('--device', help='default: a GPU if there is one')
    add_config_options(parser)
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.dataset import pseudo_collate
from tqdm import tqdm

from ifirvos.checkpoint import load_checkpoint, load_strictly
from ifirvos.config import load_config, need
from ifirvos.errors import InputError
from ifirvos.evaluation.functional.probe import probe_expression
from ifirvos.evaluation.metrics.samples import annotation, union
from ifirvos.files import check_file, csv_text, write_whole
from ifirvos.inference.loading import checked_device
from ifirvos.label_maps import read_labels
from ifirvos.registry import DATASETS, MODELS
from ifirvos.structures import have_key_frames
from ifirvos.training.run_info import git_commit


def expressions_by_video(dataset, per_kind: int | None) -> dict[str, list[int]]:
    """Group the expressions to look at by video, whose frames go through the backbone once for all of them."""
    videos, seen = defaultdict(list), defaultdict(int)
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if info['obj_id'] == 0:  # fits nothing: no mask can be right
            continue
        seen[info['kind']] += 1
        if per_kind is None or seen[info['kind']] <= per_kind:
            videos[info['video_id']].append(index)
    return videos


@torch.no_grad()
def predict(
    model: torch.nn.Module,
    frames: torch.Tensor,
    clips: Sequence[TrackDataSample],
    order: np.ndarray,
    candidates: bool = False,
) -> list[list[DetDataSample]]:
    """Return what the model says of each of the T frames, for every clip, when they come in this order.

    Args:
        model: The model.
        frames: (T, 3, H, W), preprocessed.
        clips: E samples of the same video.
        order: (T,) indices of the frames.
        candidates: Also give the masks of all queries, which take a fifth of the time.
    """
    test_cfg = model.bbox_head.test_cfg or {}
    model.bbox_head.test_cfg = {**test_cfg, 'candidates': 'smooth' if candidates else None}
    samples = []
    for clip in clips:
        sample = TrackDataSample(metainfo=clip.metainfo)
        sample.video_data_samples = [DetDataSample(metainfo=clip[int(t)].metainfo) for t in order]
        samples.append(sample)
    back = np.argsort(order)
    feats = model.extract_windows(frames[None, torch.as_tensor(order)])
    for sample in samples:
        model.predict_features(feats, [sample])
    return [[sample[int(t)].cpu() for t in back] for sample in samples]  # the masks of all orders do not fit a GPU


def masks(frames: Sequence[DetDataSample], field: str = 'pred_track_instances') -> np.ndarray:
    """Stack the masks of all frames, bool (T, N, H, W)."""
    return np.stack([frame.get(field).masks.cpu().numpy() for frame in frames])


def label_maps(info: dict) -> np.ndarray | None:
    """Return the annotated label maps (T, H, W) of a video, None where they are not pictures."""
    paths = [image.get('mask_path') for image in info['images']]
    if not all(path and path.endswith('.png') for path in paths):
        return None
    return read_labels(paths)


def probe_video(model, dataset, indices: list[int], seed: int) -> Iterator[dict]:
    """Yield the rows of a video's expressions."""
    infos = [dataset.get_data_info(index) for index in indices]
    data = model.data_preprocessor(pseudo_collate([dataset[index] for index in indices]), False)
    frames, clips = data['inputs'][0], data['data_samples']
    if have_key_frames(clips):
        raise InputError(
            f'{type(dataset).__name__} has clips around annotated frames, other ones for every sentence: probing needs '
            'whole videos with masks of all frames.'
        )
    order = np.arange(len(frames))
    shuffled = np.random.default_rng([seed, zlib.crc32(infos[0]['video_id'].encode())]).permutation(order)
    plain_order = predict(model, frames, clips, order, candidates=True)
    others = [predict(model, frames, clips, other) for other in (order[::-1].copy(), shuffled)]
    labels = label_maps(infos[0])
    for info, clip, plain, backward, mixed in zip(infos, clips, plain_order, *others, strict=True):
        gt = np.stack([union(annotation(frame).masks) for frame in clip])
        measures = probe_expression(
            gt,
            masks(plain)[:, 0],
            masks(plain, 'pred_candidates'),
            masks(backward)[:, 0],
            masks(mixed)[:, 0],
            labels,
        )
        yield dict(video_id=info['video_id'], exp_id=info['exp_id'], kind=info['kind'], **measures, text=info['text'])


def main(argv: list[str] | None = None) -> list[dict]:
    """Command line; returns the rows."""
    args = parse_args(argv)
    check_file(args.out)
    device = checked_device(args.device)
    cfg = load_config(args.config, args.cfg_options, args.data_root, ('test',), args.allow_unknown)
    need(cfg, ('model', 'test_dataloader'), args.config)
    checkpoint = load_checkpoint(args.checkpoint)
    model = MODELS.build(cfg.model)
    load_strictly(model, checkpoint, str(args.checkpoint), str(args.config))
    model.to(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    model.eval()
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    videos = expressions_by_video(dataset, args.per_kind)
    rows = [
        row
        for indices in tqdm(videos.values(), unit='video', desc=str(args.checkpoint))
        for row in probe_video(model, dataset, indices, args.seed)
    ]
    meta = checkpoint.get('meta') or {}
    about = dict(
        config=str(args.config),
        checkpoint=str(args.checkpoint),
        iterations=meta.get('iter'),
        training_seed=meta.get('seed'),
        trained_by=(meta.get('run_info') or {}).get('commit'),
        probed_by=git_commit(),
        per_kind=args.per_kind,
        order_seed=args.seed,
        class_weight=cfg.model.bbox_head.loss_cls.loss_weight,
        unit='percent',
    )
    args.out.unlink(missing_ok=True)  # its rows are not those of the settings below
    write_whole(args.out.with_suffix('.json'), json.dumps(about, indent=2) + '\n')
    write_whole(args.out, csv_text(rows))  # last: a csv file says that the probe is complete
    return rows


if __name__ == '__main__':
    sys.exit(main_of(main))
