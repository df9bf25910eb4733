"""Subcommands of benchmark.py for whole videos: memory, time and quality of tools/infer.py."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ifirvos_cli.common import positive_int, seed_number

if TYPE_CHECKING:
    import numpy as np

    from ifirvos.synth.clip import Clip

TOOLS = Path(__file__).resolve().parents[1]
# Runs tools/infer.py in a process of its own and says how much memory that had at most (Linux).
RUN = """
import sys
sys.path[:0] = [sys.argv.pop(1), sys.argv.pop(1)]
import infer
code = infer.main(sys.argv[1:])
peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))
print('peak', int(peak.split()[1]) / 1024)
sys.exit(code)
"""
KINDS = ('attr', 'spatial', 'relation', 'motion')  # that hold forwards and backwards
FIRST_INDEX = 100_000  # of the split 'valid', whose data sets start at 0 and end far below
FPS = 8


def add_long_video(subcommands) -> None:
    parser = subcommands.add_parser('long-video', help='peak memory of tools/infer.py on videos of different length')
    parser.add_argument(
        '--frames',
        type=positive_int,
        nargs='+',
        default=(200, 10_000),
        help='lengths of the videos; the first is the reference',
    )
    parser.add_argument('--size', type=positive_int, nargs=2, default=(96, 144), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--options', default='', help='more options for tools/infer.py, in one string')
    parser.set_defaults(run=run_long_video)


def run_long_video(args: argparse.Namespace) -> None:
    texts = ['the red square', 'the grey background']
    print(f'tools/infer.py, {len(texts)} sentences, frames of {args.size[0]}x{args.size[1]}')
    print(f'{"frames":>8}{"peak MiB":>10}{"ratio":>7}{"seconds":>9}{"frames/s":>10}')
    first = None
    for num_frames in args.frames:
        with tempfile.TemporaryDirectory() as folder:
            video = write_video(Path(folder) / 'video', moving_square(num_frames, *args.size))
            peak, seconds = infer_peak(video, texts, Path(folder) / 'out', args.options.split())
        first = first or peak
        print(f'{num_frames:8}{peak:10.0f}{peak / first:7.2f}{seconds:9.1f}{num_frames / seconds:10.1f}', flush=True)


def add_synth_video(subcommands) -> None:
    parser = subcommands.add_parser(
        'synth-video', help='J&F, speed and memory of tools/infer.py on a long SynthRVOS video with four sentences'
    )
    parser.add_argument('--frames', type=positive_int, default=2000)
    parser.add_argument('--seed', type=seed_number, default=0, help='seed of the clip')
    parser.add_argument('--options', default='', help='more options for tools/infer.py, in one string')
    parser.set_defaults(run=run_synth_video)


def run_synth_video(args: argparse.Namespace) -> None:
    import numpy as np

    from ifirvos.names import unique_slugs
    from ifirvos.synth.render import draw_frames

    clip = clip_with_all_kinds(args.seed)
    expressions = {}
    for expression in clip.expressions:
        expressions.setdefault(expression.kind, expression)
    asked = [expressions[kind] for kind in KINDS]
    order = back_and_forth(len(clip.facts.labels), args.frames)
    with tempfile.TemporaryDirectory() as folder:
        pictures = draw_frames(clip.facts.scene)[..., ::-1]
        video = write_video(Path(folder) / 'video', (pictures[t] for t in order))
        texts, out = [expression.text for expression in asked], Path(folder) / 'out'
        peak, seconds = infer_peak(video, texts, out, args.options.split())
        scores = []
        for expression, name in zip(asked, unique_slugs(texts), strict=True):
            paths = [out / name / 'masks' / f'{number:05d}.png' for number in range(args.frames)]
            scores.append(j_and_f(clip.facts.labels == expression.object_id, order, paths))
    print(f'clip {clip.video_id}, {args.frames} frames, {len(asked)} sentences: ', end='')
    print(f'{seconds:.1f} s, {args.frames / seconds:.1f} frames/s, peak {peak:.0f} MiB')
    print(f'{"kind":10}{"J&F":>6}{"J":>7}{"F":>7}  sentence')
    for expression, (j, f) in zip(asked, scores, strict=True):
        print(f'{expression.kind:10}{(j + f) / 2:6.1f}{j:7.1f}{f:7.1f}  {expression.text}')
    print(f'{"mean":10}{np.mean(scores):6.1f}{np.mean(scores, 0)[0]:7.1f}{np.mean(scores, 0)[1]:7.1f}')


def clip_with_all_kinds(seed: int) -> Clip:
    """Return the first held-out clip from FIRST_INDEX on that has a sentence of each of KINDS. No model is asked."""
    from ifirvos.synth.clip import clip_with

    return clip_with(KINDS, seed, 'valid', FIRST_INDEX)


def back_and_forth(clip_frames: int, num_frames: int) -> np.ndarray:
    """Return the frame of a clip that each frame shows when it is played back and forth, again and again."""
    import numpy as np

    cycle = np.concatenate([np.arange(clip_frames), np.arange(clip_frames - 2, 0, -1)])
    return np.resize(cycle, num_frames)


def moving_square(num_frames: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Yield a red square that goes back and forth on grey."""
    import numpy as np

    side = height // 4
    for column in back_and_forth(width - side, num_frames):
        frame = np.full((height, width, 3), 120, np.uint8)
        frame[side : 2 * side, column : column + side] = (200, 30, 30)
        yield frame


def write_video(stem: Path, frames: Iterable[np.ndarray]) -> Path:
    """Write RGB frames to a video file."""
    from ifirvos.video.writer import VideoWriter, video_suffix

    path = stem.with_suffix(video_suffix())
    with VideoWriter(path, FPS) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def infer_peak(video: Path, texts: Sequence[str], out: Path, options: Sequence[str]) -> tuple[float, float]:
    """Run tools/infer.py in a process of its own.

    Returns:
        its peak memory in MiB and its seconds, from start to end.
    """
    paths = [str(path) for path in (TOOLS, TOOLS.parent, video)]
    command = [sys.executable, '-c', RUN, *paths, *texts, '--out', str(out), *options]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.rsplit('peak', 1)[1]), seconds


def j_and_f(truth: np.ndarray, order: np.ndarray, masks: Sequence[Path]) -> tuple[float, float]:
    """J and F in percent over all frames; the masks are read one at a time.

    Args:
        truth: bool (T, H, W), of the clip.
        order: Which of its frames each mask belongs to.
        masks: Palette PNGs.
    """
    import numpy as np

    from ifirvos.evaluation.functional import contour_accuracy, region_similarity
    from ifirvos.label_maps import read_palette_png

    scores = []
    for t, path in zip(order, masks, strict=True):
        pair = truth[t][None], (read_palette_png(path) > 0)[None]
        scores.append((region_similarity(*pair)[0], contour_accuracy(*pair)[0]))
    return tuple((100 * np.mean(scores, axis=0)).tolist())
