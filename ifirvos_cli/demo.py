"""Demonstrates the model on a rendered clip, or on your own video.

    ifirvos demo [--video clip.mp4 --text "the red car; the dog on the left"]

Without a video, a SynthRVOS clip outside all data sets is generated, written to an mp4 and processed by `ifirvos
infer`; the masks are then compared with the ground truth.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from . import infer
from .common import USER_ERROR, finite_number, is_missing, output_path, run_command, seed_number, uncollected

OWN_TEXT = 'the person'


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument('--video', type=Path, help='a video of your own, or a folder of frames')
    parser.add_argument('--text', help=f"what to segment, several with ';' between; for a video: {OWN_TEXT!r}")
    parser.add_argument('--seed', type=seed_number, default=1, help='seed of the generated clip')
    parser.add_argument(
        '--out', type=output_path, default=Path('demo_output'), help='folder for video, masks and images'
    )
    parser.add_argument('--model', help='as for infer')
    parser.add_argument('--config', help='as for infer')
    parser.add_argument('--weights', help='as for infer')
    parser.add_argument('--text-encoder', help='as for infer')
    parser.add_argument('--device', help='as for infer')
    parser.add_argument(
        '--score-threshold',
        type=finite_number,
        help="as for infer; default: the model's, if the model index has one; 0: off",
    )
    args = parser.parse_args(argv)
    if args.text is not None and not any(text.strip() for text in args.text.split(';')):
        parser.error('--text has no sentence')
    return args


def run(args: argparse.Namespace) -> int:
    """Render, segment, compare and draw; return the exit code of `ifirvos infer`."""
    with uncollected():
        import cv2
        import numpy as np

        from ifirvos.files import check_folder, write_whole
        from ifirvos.inference import demo
        from ifirvos.inference.absence import threshold_of
        from ifirvos.inference.model_index import SHIPPED_MODEL
        from ifirvos.names import unique_slugs
        from ifirvos.video.writer import video_suffix

    check_folder(args.out)
    video, kinds, truths = args.video, [], []
    sheet = args.out / 'contact_sheet.png'
    texts = [text.strip() for text in (args.text or OWN_TEXT).split(';') if text.strip()]
    if video is None:
        clip = demo.held_out_clip(args.seed)
        video = args.out / f'clip{video_suffix()}'
        demo.check_own(args.out, [video, sheet])
        demo.render(clip, video)
        print(f'Rendered clip {clip.video_id} (seed {args.seed}) to {video}')
        if args.text is None:
            kinds, texts, truths = zip(*demo.questions(clip), strict=True)
    # A folder for each video: a sentence asked of two would else look like one result.
    results = args.out / 'results'
    if args.video:
        results = results / demo.folder_of(args.video)
        sheet = results / sheet.name
    named = ('model', 'config', 'weights', 'text_encoder', 'device')
    options = [f'--{name.replace("_", "-")}={value}' for name in named if (value := getattr(args, name))]
    threshold = args.score_threshold
    if threshold is None and not (args.weights or args.config):
        with suppress(KeyError):  # no such model, which infer says
            threshold = threshold_of(args.model or SHIPPED_MODEL)
    if threshold is not None:
        options.append(f'--score-threshold={threshold}')
    if len(truths):
        options.append('--dtype=fp32')  # the same scores on every machine
    code = infer.main([str(video), *texts, '--out', str(results), '--overwrite', *options])
    if code:
        return code

    masks = [demo.MaskFiles(results / name / 'masks') for name in unique_slugs(texts)]
    notes = [''] * len(texts)
    if len(truths):
        scores = [demo.j_and_f(truth, np.stack(list(mask))) for truth, mask in zip(truths, masks)]
        print(f'\n{"kind":10} {"J&F":>6} {"J":>6} {"F":>6}  sentence')
        for kind, text, (j, f) in zip(kinds, texts, scores):
            print(f'{kind:10} {(j + f) / 2:6.1f} {j:6.1f} {f:6.1f}  {text}')
        print(f'{"mean":10} {np.mean(scores):6.1f} {np.mean(scores, 0)[0]:6.1f} {np.mean(scores, 0)[1]:6.1f}')
        notes = [f'{kind}, J&F {(j + f) / 2:.1f}' for kind, (j, f) in zip(kinds, scores)]
    picture = demo.draw_sheet(video, texts, notes, masks, truths or [None] * len(texts))
    encoded = cv2.imencode('.png', picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 6])[1]
    write_whole(sheet, encoded.tobytes())
    print(f'\nOverlay videos, masks and scores: {results}\nFrames and sentences at a glance:  {sheet}')
    return 0


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Return the exit code of `ifirvos infer`."""
    args = parse_args(argv, prog)
    if is_missing(args.video):
        return USER_ERROR
    return run_command(lambda: run(args))
