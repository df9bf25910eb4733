"""Subcommands of benchmark.py about what surrounds the model: reading data, and a video from file to written masks."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmark_stages import watched

from ifirvos_cli.common import add_config_options, positive_int


def add_data(subcommands) -> None:
    parser = subcommands.add_parser('data', help='what each transform of a data set takes, and clips a second')
    parser.add_argument('config', type=Path)
    parser.add_argument('--loader', default='train_dataloader', help='of the config; default: train_dataloader')
    parser.add_argument('--clips', type=positive_int, default=50, help='so many records, spread over the data set')
    add_config_options(parser)
    parser.set_defaults(run=run_data)


def run_data(args: argparse.Namespace) -> None:
    import numpy as np
    from mmengine.registry import init_default_scope

    from ifirvos.config import load_config
    from ifirvos.registry import DATASETS

    phase = args.loader.partition('_')[0]
    cfg = load_config(args.config, args.cfg_options, args.data_root, (phase,), args.allow_unknown)
    init_default_scope('mmdet')
    dataset = DATASETS.build(cfg[args.loader].dataset)
    seconds, of_clip, frames = defaultdict(float), [], 0
    with ExitStack() as stack:
        for transform in _transforms(dataset):
            stack.enter_context(watched(transform, 'transform', type(transform).__name__, seconds))
        for index in np.linspace(0, len(dataset) - 1, min(args.clips, len(dataset))).astype(int):
            start = time.perf_counter()
            sample = dataset[int(index)]
            spent = time.perf_counter() - start
            clips = sample if isinstance(sample, list) else [sample]  # PairedExpressions' two
            of_clip += [spent / len(clips)] * len(clips)
            frames += sum(len(clip['inputs']) for clip in clips)
    total = sum(of_clip)
    print(f'{args.config.name}, {args.loader}: {len(of_clip)} clips, {frames} frames, one process')
    print('| transform | ms a clip | share |\n| --- | --- | --- |')
    for name, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f'| {name} | {1000 * spent / len(of_clip):.1f} | {spent / total:.0%} |')
    rest = total - sum(seconds.values())
    print(f'| the rest | {1000 * rest / len(of_clip):.1f} | {rest / total:.0%} |')
    speed = f'{len(of_clip) / total:.1f} clips/s, {frames / total:.0f} frames/s'
    print(f'median {1000 * median(of_clip):.1f} ms a clip; {speed}')


def _transforms(dataset) -> Iterator:
    """All transforms of a data set and of the data sets inside it; of those that hold others, the others."""
    for inner in getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]:
        if inner is not None:
            yield from _transforms(inner)
    waiting = list(getattr(getattr(dataset, 'pipeline', None), 'transforms', []))
    while waiting:
        transform = waiting.pop(0)
        inside = getattr(transform, 'transforms', [])
        if inside:
            waiting += getattr(inside, 'transforms', inside)
        else:
            yield transform


def add_video(subcommands) -> None:
    parser = subcommands.add_parser('video', help='by stage, from a video file to the masks on disk')
    parser.add_argument('--video', type=Path, help='default: a red square on grey')
    parser.add_argument('--frames', type=positive_int, default=72, help='of the default video')
    parser.add_argument(
        '--size', type=positive_int, nargs=2, default=(360, 640), metavar=('HEIGHT', 'WIDTH'), help='of that'
    )
    parser.add_argument('--sentences', nargs='+', default=['the red square'])
    parser.add_argument('--model', help='as of tools/infer.py')
    parser.add_argument('--save', nargs='+', default=['masks', 'overlay'], help='as of tools/infer.py')
    parser.set_defaults(run=run_video)


def run_video(args: argparse.Namespace) -> None:
    from benchmark_video import moving_square, write_video

    from ifirvos.inference.inferencer import RVOSInferencer
    from ifirvos.inference.writers import ResultWriter
    from ifirvos.video.reader import VideoReader

    model = RVOSInferencer(args.model, show_progress=False, dtype='fp32')
    seconds = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = args.video or write_video(Path(folder) / 'video', moving_square(args.frames, *args.size))
        for owner, attribute, stage in (
            (VideoReader, 'timed', 'decode'),
            (model, 'preprocess', 'resize'),
            (model, 'extract', 'backbone and neck'),
            (model, 'encode', 'text'),
            (model, 'forward', 'behind the backbone'),
            (model, 'postprocess', 'post-processing'),
            (ResultWriter, 'write', 'writing'),
        ):
            stack.enter_context(watched(owner, attribute, stage, seconds))
        start = time.perf_counter()
        results = model(path, args.sentences, out_dir=Path(folder) / 'out', save=args.save)
        total = time.perf_counter() - start
    frames = len(results[0].scores)
    print(f'{model.model_name or model.config_name}: {frames} frames, {len(args.sentences)} sentences, {model.dtype}')
    print('| stage | s | ms a frame |\n| --- | --- | --- |')
    for stage, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f'| {stage} | {spent:.2f} | {1000 * spent / frames:.1f} |')
    print(f'| in all, decode and resize ahead of the rest | {total:.2f} | {1000 * total / frames:.1f} |')
    without = sum(spent for stage, spent in seconds.items() if stage not in ('decode', 'resize'))
    print(f'{frames / total:.1f} frames/s with decoding, {frames / without:.1f} without')
