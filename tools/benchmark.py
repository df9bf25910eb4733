"""Times parts of ifirvos against the straightforward way of doing the same, in one run.

    python tools/benchmark.py jf

A subcommand is a function ``add_NAME(subcommands)`` that declares its arguments and sets ``run``, added to ``main``.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ifirvos.evaluation.functional import contour_accuracy, region_similarity


def add_jf(subcommands) -> None:
    parser = subcommands.add_parser(
        'jf', aliases=['metrics'], help='J and F of a pair of masks, against the formula with dilations of full frames'
    )
    parser.add_argument('--size', type=int, nargs=2, default=(480, 854), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--frames', type=int, default=24, help='frames of a clip')
    parser.add_argument(
        '--shares', type=float, nargs='+', default=(0.02, 0.08, 0.25), help='of the frame in the object'
    )
    parser.add_argument('--rounds', type=int, default=15, help='the best of so many is reported')
    parser.set_defaults(run=run_jf)


def run_jf(args: argparse.Namespace) -> None:
    cv2.setNumThreads(1)
    height, width = args.size
    print(
        f'J and F, milliseconds per pair of masks {height}x{width} on one thread, alone and in clips of {args.frames}'
    )
    print(f'{"object":>8}{"dilation":>10}{"one frame":>11}{"clip":>8}{"ratio":>7}{"difference":>12}')
    for share in args.shares:
        gt, pred = mask_clip(args.frames, height, width, share)
        expected = np.array([dilation_jf(g, p) for g, p in zip(gt, pred, strict=True)]).T
        difference = np.abs([region_similarity(gt, pred), contour_accuracy(gt, pred)] - expected).max()
        straightforward, frame, clip = best_ms(
            lambda g=gt[0], p=pred[0]: dilation_jf(g, p),
            lambda g=gt[:1], p=pred[:1]: (region_similarity(g, p), contour_accuracy(g, p)),
            lambda g=gt, p=pred: (region_similarity(g, p), contour_accuracy(g, p)),
            rounds=args.rounds,
        )
        clip /= args.frames
        ratio = straightforward / clip
        print(f'{share:8.0%}{straightforward:10.2f}{frame:11.2f}{clip:8.2f}{ratio:6.1f}x{difference:12.1e}')


def mask_clip(num_frames: int, height: int, width: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """A moving object with a wavy outline that covers ``share`` of the frame, and a slightly wrong prediction."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - height / 2, columns - width / 2) - np.sqrt(share * height * width / np.pi)
    waves, error = (cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), width / x) for x in (85, 170))
    outline = distance + waves / waves.std() * width / 85
    gt, pred = outline < 0, outline + 3 * error / error.std() < 2
    return tuple(np.stack([np.roll(mask, 3 * t, axis=1) for t in range(num_frames)]) for mask in (gt, pred))


def dilation_jf(gt: np.ndarray, pred: np.ndarray) -> tuple[float, float]:
    """J and F of two masks, bool (H, W), as their definition reads; neither is empty."""
    radius = int(np.ceil(0.008 * np.hypot(*gt.shape)))
    steps = np.arange(-radius, radius + 1)
    disk = (steps[:, None] ** 2 + steps**2 <= radius**2).astype(np.uint8)
    edges = []
    for mask in (gt, pred):
        padded = np.pad(mask, ((0, 1), (0, 1)), mode='edge')
        right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
        edges.append((mask ^ right) | (mask ^ below) | (mask ^ diagonal))
    gt_edges, pred_edges = edges
    precision = (pred_edges & cv2.dilate(gt_edges.astype(np.uint8), disk).astype(bool)).sum() / pred_edges.sum()
    recall = (gt_edges & cv2.dilate(pred_edges.astype(np.uint8), disk).astype(bool)).sum() / gt_edges.sum()
    return (gt & pred).sum() / (gt | pred).sum(), 2 * precision * recall / max(precision + recall, 1e-300)


def best_ms(*functions: Callable[[], object], rounds: int) -> list[float]:
    """The shortest time of each function, of this thread on its core: what else the machine does hardly counts."""
    times = [[] for _ in functions]
    for _ in range(rounds):
        for function, seconds in zip(functions, times, strict=True):
            start = time.thread_time()
            function()
            seconds.append(time.thread_time() - start)
    return [1000 * min(seconds) for seconds in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subcommands = parser.add_subparsers(required=True, metavar='WHAT')
    add_jf(subcommands)
    args = parser.parse_args()
    args.run(args)


if __name__ == '__main__':
    main()
