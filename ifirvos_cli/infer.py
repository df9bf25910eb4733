"""Segment the objects that sentences refer to in a video.

    ifirvos infer clip.mp4 "the large red star" "the circle on the left" --out results

Many videos, several processes, several machines: ``ifirvos infer --manifest videos.csv --out results --workers 4``.

For every sentence a folder named after it: overlay.mp4, masks/00000.png … (palette PNG, 1 is the object), masks.json
(COCO RLE), frames.csv and result.json (score and box of every frame). Memory does not grow with the video's length.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .common import (
    USER_ERROR,
    add_model_options,
    check_model_options,
    finite_number,
    is_missing,
    logged_to_stderr,
    model_options,
    output_path,
    positive_int,
    positive_number,
    print_line,
    run_command,
    uncollected,
    whole_number,
)

if TYPE_CHECKING:
    from ifirvos.inference.inferencer import RVOSInferencer
    from ifirvos.video.reader import VideoReader

# Those of ifirvos.inference.writers, which is slow to import; the last six hold all sentences of a video.
SAVES = ('overlay', 'masks', 'rle', 'csv', 'cutout', 'objects', 'coco', 'cvat', 'label-studio', 'frames', 'together')


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument(
        'video',
        nargs='?',
        help='a video file, a folder of images, a URL (http, https, rtsp), or the number of a webcam',
    )
    parser.add_argument('sentences', nargs='*', metavar='sentence', help='a sentence, in quotes')
    parser.add_argument('--out', type=output_path, required=True, help='folder for the results')
    many = parser.add_argument_group('many videos')
    many.add_argument('--manifest', type=Path, help='csv or jsonl of videos and sentences')
    many.add_argument('--workers', type=positive_int, help='processes; default: one per GPU, or one; with shards one')
    many.add_argument(
        '--shard',
        type=_shard,
        metavar='I/N',
        help='the I-th of N machines, from 0; default: of a Slurm array or torchrun',
    )
    model = parser.add_argument_group('model')
    add_model_options(model)
    model.add_argument('--device', help='cpu, cuda, cuda:1 …; default: a GPU if there is one')
    model.add_argument(
        '--dtype',
        choices=('auto', 'fp32', 'bf16', 'fp16'),
        default='auto',
        help='precision; default: auto, bf16 where it is faster with the same masks, else fp32',
    )
    frames = parser.add_argument_group('frames')
    frames.add_argument(
        '--fps', type=positive_number, help="frame rate of the overlay; default: the video's, 10 for a folder"
    )
    frames.add_argument('--max-frames', type=positive_int, help='number of frames to use')
    frames.add_argument('--deinterlace', action='store_true', help='deinterlace interlaced video')
    frames.add_argument(
        '--timeout',
        type=positive_number,
        default=30.0,
        metavar='SECONDS',
        help='stop reading a URL after this time without a frame; default: 30',
    )
    frames.add_argument('--max-pixels', type=positive_int, help='largest frame; default: 100 million')
    frames.add_argument('--max-sentences', type=positive_int, metavar='N', help='of a video; default: 1000')
    frames.add_argument('--allow-special', action='store_true', help='also read a FIFO or device')
    frames.add_argument(
        '--clip-len', type=whole_number, default=36, help='frames per window; default: 36; 0: all at once'
    )
    frames.add_argument(
        '--overlap', type=whole_number, help='overlap of windows in frames; default: 8, less in short windows'
    )
    frames.add_argument(
        '--link',
        choices=('agreement', 'independent'),
        default='agreement',
        help='follow the object over windows, or use independent windows as for DAVIS; default: agreement',
    )
    frames.add_argument(
        '--memory',
        type=positive_number,
        default=2.0,
        metavar='GIB',
        help='memory for the sentences of a window; default: 2',
    )
    output = parser.add_argument_group('output')
    output.add_argument(
        '--score-threshold', type=finite_number, help='frames with a lower score get no mask; default: off'
    )
    output.add_argument(
        '--save',
        type=lambda text: tuple(part.strip() for part in text.split(',')),
        default=SAVES[:4],
        metavar='KIND,…',
        help=f'what to write beside result.json, of {",".join(SAVES)}; default: {",".join(SAVES[:4])}',
    )
    output.add_argument(
        '--style',
        choices=('spotlight', 'paint'),
        default='spotlight',
        help='style of the overlays: dim the rest (default), or paint the object',
    )
    output.add_argument(
        '--together', action='store_true', help='also write all_sentences/overlay.mp4: all sentences in one video'
    )
    output.add_argument(
        '--cutout', action='store_true', help='also write cutout.webm: the object on a transparent background'
    )
    output.add_argument('--overwrite', action='store_true', help='replace the results of an earlier run')
    argv = list(sys.argv[1:] if argv is None else argv)
    args, rest = parser.parse_known_args(argv)
    # Sentences behind an option: argparse takes all positional arguments at the first of them.
    behind = argv[argv.index('--') + 1 :] if '--' in argv else []
    # Where sentences are there, one word behind an option is rather a second value of it.
    unknown = [text for text in rest if text not in ('--', *behind)]
    unknown = [text for text in unknown if text[:1] in ('-', '–', '—') or (args.sentences and len(text.split()) < 2)]
    if unknown:
        parser.error(f'unrecognized arguments: {" ".join(unknown)}')
    args.sentences += [text for text in rest if text != '--']
    if args.manifest is None and not args.sentences:
        parser.error('give a video and at least one sentence, or --manifest')
    if args.manifest is not None and args.video is not None:
        parser.error('--manifest names the videos and sentences: leave them out of the command line')
    if args.manifest is None and (args.workers is not None or args.shard is not None):
        parser.error('--workers and --shard are for --manifest')
    if args.manifest is not None and (args.fps is not None or args.max_frames is not None):
        parser.error('with --manifest, fps and max_frames are columns of the manifest')
    if args.score_threshold is not None and args.score_threshold > 1:
        parser.error('--score-threshold is a score, from 0 to 1')
    check_model_options(parser, args)
    if unknown := set(args.save) - set(SAVES):
        parser.error(f'--save knows {",".join(SAVES)}, not {", ".join(sorted(unknown))}')
    if args.cutout and 'cutout' not in args.save:
        args.save = (*args.save, 'cutout')
    if args.together and 'together' not in args.save:
        args.save = (*args.save, 'together')
    if args.video is not None and _is_webcam(args.video) and args.max_frames is None:
        parser.error('a webcam has no end: say with --max-frames how many frames to take')
    return args


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition('/')
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(f'{text!r} is not I/N with I from 0 to N - 1, as 0/4')
    return int(index), int(count)


def _is_webcam(video: str) -> bool:
    return video.isdecimal() and not Path(video).exists()


def inferencer_options(args: argparse.Namespace) -> dict:
    """Return the arguments of ``RVOSInferencer``."""
    return dict(
        **model_options(args),
        device=args.device,
        dtype=args.dtype,
        memory=args.memory,
        clip_len=args.clip_len or None,
        overlap=args.overlap,
        link=args.link,
    )


@uncollected()
def prepare(args: argparse.Namespace) -> tuple[VideoReader, RVOSInferencer, list[str], list[Path]]:
    """Return the video, the model, the sentences and their folders; cheap checks come before the model is loaded."""
    options = inferencer_options(args)

    from ifirvos.inference.folders import check_free
    from ifirvos.inference.inferencer import RVOSInferencer
    from ifirvos.inference.sentences import check_sentences
    from ifirvos.names import unique_slugs
    from ifirvos.video.reader import VideoReader

    texts = check_sentences(args.sentences)
    source = int(args.video) if _is_webcam(args.video) else args.video
    reader = VideoReader(
        source,
        fps=args.fps,
        max_frames=args.max_frames,
        timeout=args.timeout,
        deinterlace=args.deinterlace,
        max_pixels=args.max_pixels,
        allow_special=args.allow_special,
    )
    folders = [args.out / name for name in unique_slugs(texts)]
    check_free(folders, args.overwrite)
    return reader, RVOSInferencer(**options), texts, folders


def run(args: argparse.Namespace) -> list[Path]:
    """Segment and write, window by window. Returns what to look at."""
    reader, inferencer, texts, folders = prepare(args)

    from rich.console import Console
    from rich.progress import Progress

    from ifirvos.inference.exporters import FOLDER
    from ifirvos.inference.writers import ResultWriter
    from ifirvos.video.writer import video_suffix

    info = inferencer.about(args.score_threshold)
    writer = ResultWriter(folders, texts, reader, save=args.save, info=info, overwrite=args.overwrite, style=args.style)
    with Progress(console=Console(stderr=True)) as bar, writer:
        task = bar.add_task(f'{len(texts)} sentence(s)', total=reader.num_frames)
        for window in inferencer.stream(reader, texts, score_threshold=args.score_threshold):
            writer.write(window)
            bar.update(task, completed=writer.num_frames)
        bar.update(task, total=writer.num_frames)
    for note in filter(None, [reader.problem, *writer.notes]):
        print(f'note: {note}', file=sys.stderr)
    height, width = window.frames[0].shape[:2]
    if writer.overlays and (height % 2 or width % 2):
        print(f'note: {width}x{height} is odd, so the overlay repeats the last row or column.', file=sys.stderr)
    together = [args.out / FOLDER / f'overlay{video_suffix()}'] if 'together' in args.save else []
    exports = [args.out / FOLDER] if writer.exports and not together else []
    return [*writer.overlays, *together, *exports] or folders


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Return the exit code: 0, or 2 with one line on stderr where the input is at fault."""
    args = parse_args(argv, prog)
    elsewhere = args.video is not None and ('://' in args.video or _is_webcam(args.video))
    if is_missing(args.manifest, None if elsewhere else args.video):
        return USER_ERROR
    if args.video is not None and len(args.sentences) > 1 and not any(len(t.split()) > 1 for t in args.sentences):
        print(
            f'note: {len(args.sentences)} sentences of one word each: put one of several words into quotes, as '
            f'"{" ".join(args.sentences)[:60]}"',
            file=sys.stderr,
        )
    logging.getLogger('libav').setLevel(logging.ERROR)

    if args.max_sentences is not None:
        os.environ['IFIRVOS_MAX_SENTENCES'] = str(args.max_sentences)

    def show_written() -> int:
        with logged_to_stderr():
            if args.manifest is not None:
                from .many_videos import run_manifest

                return run_manifest(args, inferencer_options(args))
            for path in run(args):
                print_line(path)
        return 0

    return run_command(show_written, args.offline)
