"""Draws the paper's Figure 5 for one expression: ground truth and models as rows, frames as columns, J in every frame.

    python tools/analysis_tools/compare.py CONFIG NAME=RUN [NAME=RUN …] --video VIDEO --expression EXP --out DIR

A RUN is a checkpoint (CHECKPOINT.pth with its config inside, or CONFIG.py,CHECKPOINT.pth) or a folder of masks as
for ``eval_masks.py`` ([Annotations/]VIDEO/EXPRESSION/FRAME.png). The data set is that of CONFIG's test dataloader, or
with ``--split val`` of its validation dataloader. DIR gets VIDEO_EXP.png and a video with the rows side by side.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from ifirvos_cli.common import (
    add_config_options,
    main_of,
    output_path,
    positive_int,
    positive_number,
    split_name,
    tool_arguments,
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('runs', nargs='+', metavar='NAME=RUN')
    parser.add_argument('--video', required=True, help='id of the video')
    parser.add_argument('--expression', required=True, help='id of the expression')
    parser.add_argument('--out', type=output_path, required=True, help='folder for figure and video')
    parser.add_argument(
        '--frames', type=positive_int, default=5, help='number of columns, evenly spaced over the video'
    )
    parser.add_argument('--width', type=positive_int, default=240, help='width of an image in the figure, in pixels')
    parser.add_argument('--fps', type=positive_number, default=10, help='frame rate of the video')
    parser.add_argument('--split', choices=['test', 'val'], default='test', help='dataloader of the config')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 …; default: a GPU if there is one')
    parser.add_argument('--overwrite', action='store_true', help='replace images of an earlier run')
    add_config_options(parser)
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

import ifirvos  # noqa: F401  isort: skip  (before mmcv: it may have to stand in for compiled operators)

import cv2
import numpy as np
from mmengine.dataset import BaseDataset, ConcatDataset

from ifirvos.config import load_config, need
from ifirvos.errors import InputError, MissingFileError, OutputExistsError
from ifirvos.evaluation.functional import region_similarity
from ifirvos.evaluation.metrics.samples import union
from ifirvos.evaluation.submission.files import ROOT
from ifirvos.files import check_folder, make_folder, write_whole
from ifirvos.inference.inferencer import RVOSInferencer
from ifirvos.label_maps import read_labels
from ifirvos.registry import DATASETS
from ifirvos.structures import frame_name, spread
from ifirvos.video.writer import VideoWriter, video_suffix
from ifirvos.visualization.comparison import TRUTH, Row, comparison_frame, comparison_sheet
from ifirvos.visualization.frames import safe_part


@dataclass(frozen=True)
class ExpressionClip:
    """An expression and its whole video, at the original size.

    Attributes:
        text: The sentence.
        names: Names of the T frames.
        frames: uint8 (T, H, W, 3) RGB.
        truth: bool (T, H, W), None where it is secret.
    """

    video_id: str
    exp_id: str
    text: str
    names: list[str]
    frames: np.ndarray
    truth: np.ndarray | None


class Run:
    """A model's masks: out of a folder, or computed by a checkpoint when they are asked for.

    Args:
        spec: ``[NAME=]RUN``, see above.
        device: Device of the model.

    Raises:
        FileNotFoundError: There is no such file or folder.
    """

    def __init__(self, spec: str, device: str | None = None) -> None:
        name, path = split_name(spec)
        config, _, path = path.rpartition(',')
        self.path, self.config, self.device = Path(path), config or None, device
        if not self.path.exists():
            raise MissingFileError(f'{self.path} is neither a folder of masks nor a checkpoint: it does not exist.')
        self.name = name or self.path.stem
        self._inferencer = None

    def masks(self, clip: ExpressionClip) -> np.ndarray:
        """Return the masks of the clip, bool (T, H, W).

        Raises:
            FileNotFoundError: The folder has no masks of the expression.
            CheckpointError, InputError: The checkpoint cannot be used.
        """
        if self.path.is_dir():
            root = self.path / ROOT if (self.path / ROOT).is_dir() else self.path
            folder = root / clip.video_id / clip.exp_id
            masks = [read_labels([folder / f'{name}.png'])[0] > 0 for name in clip.names]
            if sizes := {mask.shape for mask in masks} - {clip.frames.shape[1:3]}:
                raise InputError(
                    f'The masks in {folder} are {min(sizes)}, but the frames {clip.frames.shape[1:3]}: name those of '
                    'the original size.'
                )
            return np.stack(masks)
        if self._inferencer is None:
            # The whole video at once, as tools/test.py.
            self._inferencer = RVOSInferencer(
                self.config, self.path, self.device, show_progress=False, clip_len=None, dtype='fp32'
            )
        return np.asarray(self._inferencer(clip.frames, [clip.text])[0].masks)


def without_resize(node: object) -> object:
    """Return a data set's config whose pipelines keep every picture at its original size."""
    if isinstance(node, dict):
        return {key: without_resize(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [without_resize(x) for x in node if not (isinstance(x, dict) and 'Resize' in str(x.get('type')))]
    return node


def open_dataset(
    config: str | Path,
    split: str,
    options: dict | None = None,
    data_root: Path | None = None,
    allow_unknown: bool = True,
) -> BaseDataset | ConcatDataset:
    """Return the data set of a config's test or validation dataloader, with whole pictures."""
    cfg = load_config(config, options, data_root, (split,), allow_unknown)
    need(cfg, (f'{split}_dataloader',), config)
    return DATASETS.build(without_resize(cfg.to_dict()[f'{split}_dataloader']['dataset']))


def load_clip(dataset: BaseDataset | ConcatDataset, video_id: str, exp_id: str) -> ExpressionClip:
    """One expression of the data set.

    Raises:
        InputError: It has no such video or expression; the message says which it has.
    """
    if video_id not in (index := index_of(dataset)):
        raise InputError(f'The data set has no video {video_id!r}; the first of its {len(index)} is {min(index)!r}.')
    if exp_id not in index[video_id]:
        raise InputError(f'Video {video_id} has no expression {exp_id!r}: it has {", ".join(index[video_id])}.')
    data = dataset[index[video_id][exp_id]]
    sample = data['data_samples']
    known = all('masks' in frame.get('gt_instances', ()) for frame in sample)
    return ExpressionClip(
        video_id,
        exp_id,
        sample.text,
        [frame_name(frame) for frame in sample],
        data['inputs'].permute(0, 2, 3, 1).numpy()[..., ::-1].copy(),
        np.stack([union(frame.gt_instances.masks) for frame in sample]).astype(bool) if known else None,
    )


@lru_cache(maxsize=1)
def index_of(dataset: BaseDataset | ConcatDataset) -> dict[str, dict[str, int]]:
    """Video -> expression -> record of the data set."""
    index: dict[str, dict[str, int]] = {}
    for number in range(len(dataset)):
        info = dataset.get_data_info(number)
        index.setdefault(info['video_id'], {}).setdefault(str(info['exp_id']), number)
    return index


def compare(clip: ExpressionClip, runs: Sequence[Run]) -> list[Row]:
    """Return the rows of the figure, the truth first."""
    rows = [] if clip.truth is None else [Row(TRUTH, clip.truth)]
    for run in runs:
        masks = run.masks(clip)
        if masks.shape != clip.frames.shape[:3]:
            raise InputError(f'{run.path}: masks are {masks.shape}, but the video is {clip.frames.shape[:3]}.')
        rows.append(Row(run.name, masks, None if clip.truth is None else region_similarity(clip.truth, masks)))
    return rows


def write_sheet(path: Path, clip: ExpressionClip, rows: Sequence[Row], frame_ids: Sequence[int], width: int) -> None:
    """Write the figure as a PNG."""
    sheet = comparison_sheet(clip.frames, rows, frame_ids, clip.text, width)
    encoded = cv2.imencode('.png', sheet[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 6])[1]
    write_whole(path, encoded.tobytes())


def write_video(path: Path, clip: ExpressionClip, rows: Sequence[Row], fps: float) -> None:
    """Write the rows side by side, frame after frame."""
    with VideoWriter(path, fps) as writer:
        for t, frame in enumerate(clip.frames):
            writer.write(comparison_frame(frame, rows, t))


def main(argv: Sequence[str] | None = None) -> None:
    """Draw what the command line asks for, and print J of every row."""
    args = parse_args(argv)
    check_folder(args.out)
    stem = f'{safe_part(args.video)}_{safe_part(args.expression)}'
    picture, video = (args.out / (stem + suffix) for suffix in ('.png', video_suffix()))
    for path in (picture, video):
        if path.exists() and not args.overwrite:
            raise OutputExistsError(f'{path} exists; pass --overwrite to replace it, or another --out.')
    runs = [Run(spec, args.device) for spec in args.runs]
    dataset = open_dataset(args.config, args.split, args.cfg_options, args.data_root, args.allow_unknown)
    clip = load_clip(dataset, args.video, args.expression)
    rows = compare(clip, runs)
    make_folder(args.out)
    write_sheet(picture, clip, rows, spread(len(clip.names), args.frames), args.width)
    write_video(video, clip, rows, args.fps)
    print(f'“{clip.text}”')
    for row in rows:
        if row.region is not None:
            print(f'{100 * row.region.mean():6.1f}  J of {row.title}')
    print(f'{picture}\n{video}')


if __name__ == '__main__':
    sys.exit(main_of(main))
