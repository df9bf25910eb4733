"""Draws the output of a config's pipeline: frames, masks, boxes and sentence of its clips.

    python tools/analysis_tools/browse_dataset.py CONFIG --output-dir DIR --not-show \
        [--phase train|val|test] [--show-number N]

One image per clip: its frames side by side as the network gets them, after all augmentation, with masks, boxes and the
sentence. Annotated frames of A2D- and JHMDB-Sentences have a yellow border. Without ``--not-show`` each is shown in a
window, which needs a display.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from ifirvos_cli.common import (
    add_config_options,
    finite_number,
    main_of,
    output_path,
    positive_int,
    seed_number,
    tool_arguments,
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """MMDetection's options, and those of clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('--output-dir', type=output_path, help='folder for the images 00000.png, 00001.png, …')
    parser.add_argument('--not-show', action='store_true', help='open no window')
    parser.add_argument(
        '--show-interval', type=finite_number, default=2, help='seconds until a window closes; 0: until it is closed'
    )
    parser.add_argument('--phase', choices=['train', 'val', 'test'], default='train', help='pipeline to use')
    parser.add_argument(
        '--show-number', type=positive_int, default=20, help='how many clips, evenly spaced in the data set'
    )
    parser.add_argument('--max-frames', type=positive_int, default=8, help='frames per clip to draw, evenly spaced')
    parser.add_argument('--seed', type=seed_number, default=0, help='seed of the augmentation')
    parser.add_argument('--overwrite', action='store_true', help='replace images of an earlier run')
    add_config_options(parser)
    args = parser.parse_args(argv)
    if args.not_show and args.output_dir is None:
        parser.error('--not-show without --output-dir would show nothing')
    return args


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

import ifirvos  # noqa: F401  isort: skip  (before mmcv: it may have to stand in for compiled operators)

import cv2
import numpy as np
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.dataset import BaseDataset, worker_init_fn
from mmengine.visualization import Visualizer
from PIL import Image
from tqdm import tqdm

from ifirvos.config import load_config
from ifirvos.datasets.transforms.clip_sampling import uniform_indices
from ifirvos.files import check_folder, make_folder, written_whole
from ifirvos.registry import DATASETS
from ifirvos.visualization import contact_sheet, draw_mask, object_color

MASK, BOX, KEY_FRAME = (object_color(index) for index in (0, 1, 4))


def build_dataset(args: argparse.Namespace) -> BaseDataset:
    """Return the data set of a phase."""
    if not args.config.is_file():
        raise SystemExit(f'The config {args.config} does not exist.')
    cfg = load_config(args.config, args.cfg_options, args.data_root, (args.phase,), args.allow_unknown)
    loader = cfg.get(f'{args.phase}_dataloader')
    if loader is None:
        phases = [phase for phase in ('train', 'val', 'test') if cfg.get(f'{phase}_dataloader')]
        raise SystemExit(f'{args.config} has no data to {args.phase}: choose another --phase ({", ".join(phases)}).')
    return DATASETS.build(loader.dataset)


def draw_clip(packed: dict, max_frames: int) -> np.ndarray:
    """One clip as the pipeline packs it -> a contact sheet, uint8 RGB.

    Args:
        packed: ``inputs`` uint8 (T,3,h,w) BGR and ``data_samples``.
        max_frames: Frames to draw.
    """
    sample: TrackDataSample = packed['data_samples']
    pictures = packed['inputs'].numpy()[:, ::-1].transpose(0, 2, 3, 1)  # T h w RGB
    keys = sample.metainfo.get('key_frames_inds')
    chosen = uniform_indices(len(pictures), max_frames, 0)
    if keys and not set(keys) & set(chosen):
        chosen = sorted({*chosen[1:], keys[0]})
    images = [draw_frame(pictures[t], sample[t], keys is not None and t in keys) for t in chosen]
    row = dict(
        title=sample.text or '(an empty sentence)',
        images=images,
        note=f'{len(pictures)} frames {pictures.shape[2]}x{pictures.shape[1]}',
    )
    kind = sample.metainfo.get('kind')
    title = f'{sample.video_id} / {sample.exp_id}' + (f' ({kind})' if kind else '')
    flipped = sample[0].metainfo.get('flip')
    return contact_sheet(
        [row],
        [sample[t].frame_id for t in chosen],
        cell_width=max(240, 720 // len(chosen)),  # room for the sentence
        title=title + (', mirrored' if flipped else ''),
    )


def draw_frame(picture: np.ndarray, frame: DetDataSample, is_key: bool) -> np.ndarray:
    """Paint mask and box of a frame; those of test pipelines, of the original size, are brought to the picture's."""
    height, width = picture.shape[:2]
    out = np.ascontiguousarray(picture)
    annotation = frame.get('gt_instances', {})
    if 'masks' in annotation and len(annotation.masks):
        mask = annotation.masks.masks.any(axis=0).view(np.uint8)
        scale = np.array([width / mask.shape[1], height / mask.shape[0]])
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        out = draw_mask(out, mask > 0, MASK)
        for box in annotation.bboxes.numpy().reshape(-1, 2, 2) * scale:
            corners = [tuple(int(round(value)) for value in corner) for corner in box]
            cv2.rectangle(out, *corners, BOX, max(1, round(height / 200)))
    if is_key:
        cv2.rectangle(out, (0, 0), (width - 1, height - 1), KEY_FRAME, max(2, round(height / 60)))
    return out


def clips(dataset: BaseDataset, number: int) -> Iterator[dict]:
    """So many clips, evenly spaced."""
    for index in np.linspace(0, len(dataset), min(number, len(dataset)), endpoint=False).astype(int).tolist():
        item = dataset[index]
        yield item[0] if isinstance(item, list) else item  # of PairedExpressions: the expression that was asked for


def main(argv: list[str] | None = None) -> list[Path]:
    """Command line; returns the pictures that were written."""
    args = parse_args(argv)
    if args.output_dir:
        check_folder(args.output_dir)
    paths = [args.output_dir / f'{number:05d}.png' for number in range(args.show_number)] if args.output_dir else []
    taken = [path for path in paths if path.exists()]
    if taken and not args.overwrite:
        raise SystemExit(f'{taken[0]} exists: use --overwrite, or another --output-dir.')
    dataset = build_dataset(args)
    total = min(args.show_number, len(dataset))
    paths = paths[:total]
    if args.output_dir:
        make_folder(args.output_dir)
    worker_init_fn(0, 1, 0, args.seed)
    visualizer = None if args.not_show else Visualizer()
    for packed, path in itertools.zip_longest(tqdm(clips(dataset, total), total=total, unit='clip'), paths):
        sheet = draw_clip(packed, args.max_frames)
        if path is not None:
            with written_whole(path) as part:
                Image.fromarray(sheet).save(part, format='PNG')
        if visualizer is not None:
            visualizer.show(sheet, win_name=packed['data_samples'].video_id, wait_time=args.show_interval)
    return paths


if __name__ == '__main__':
    sys.exit(main_of(main))
