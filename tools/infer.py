"""Segment in a video what sentences refer to.

    python tools/infer.py clip.mp4 "the large red star" "the circle on the left" --out results

For every sentence a folder named after it: overlay.mp4, masks/00000.png … (palette PNG, 1 is the object) and
result.json (score and box of every frame).
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

USER_ERROR = 2


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('video', help='a video file, or a folder of images')
    parser.add_argument('sentences', nargs='+', metavar='sentence', help='what to segment, in quotes')
    parser.add_argument('--out', type=Path, required=True, help='folder for the results')
    parser.add_argument('--config', help='config file; default: the one inside --weights, or the shipped model')
    parser.add_argument('--weights', help='checkpoint; default: the shipped model')
    parser.add_argument('--device', help='cpu, cuda, cuda:1…; default: what is there')
    parser.add_argument('--fps', type=float, help="frame rate of the overlay; default: the video's, 10 for a folder")
    parser.add_argument('--max-frames', type=int, help='use only so many frames from the start')
    parser.add_argument('--overwrite', action='store_true', help='replace the results of an earlier run')
    args = parser.parse_args(argv)
    if args.config and not args.weights:
        parser.error('--config needs --weights: the model would be random')
    for name in ('fps', 'max_frames'):
        if getattr(args, name) is not None and getattr(args, name) <= 0:
            parser.error(f'--{name.replace("_", "-")} must be above 0')
    return args


def run(args: argparse.Namespace) -> list[Path]:
    """Segment and write; cheap checks come before the model is loaded. Returns the overlay videos."""
    from rich.progress import track

    from ifirvos.inferencer import RVOSInferencer, check_sentences
    from ifirvos.outputs import check_free, unique_slugs, write_results
    from ifirvos.video import VideoReader

    texts = check_sentences(args.sentences)
    reader = VideoReader(args.video, fps=args.fps, max_frames=args.max_frames)
    folders = [args.out / name for name in unique_slugs(texts)]
    check_free(folders, args.overwrite)

    inferencer = RVOSInferencer(args.config, args.weights, args.device)
    results = inferencer(reader, texts)
    if reader.problem:
        print(f'note: {reader.problem}', file=sys.stderr)
    height, width = results[0].masks.shape[1:]
    if height % 2 or width % 2:
        print(f'note: {width}x{height} is odd, so the overlay repeats the last row or column.', file=sys.stderr)
    return write_results(
        reader,
        results,
        folders,
        info=dict(config=inferencer.config_name, weights=inferencer.weights_name),
        overwrite=args.overwrite,
        progress=lambda frames: track(frames, 'Writing results', total=len(results[0].scores)),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 with one line on stderr where the input is at fault."""
    args = parse_args(argv)
    from ifirvos.checkpoint import CheckpointError
    from ifirvos.inferencer import InputError
    from ifirvos.video import VideoError

    warnings.filterwarnings('ignore', message='torch.meshgrid')  # mmdet's and mmcv's own; no user can act on it
    logging.getLogger('libav').setLevel(logging.ERROR)
    try:
        overlays = run(args)
    except (CheckpointError, InputError, VideoError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return USER_ERROR
    for overlay in overlays:
        print(overlay)
    return 0


if __name__ == '__main__':
    sys.exit(main())
