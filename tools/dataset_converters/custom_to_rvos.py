"""Converts your own annotations to the layout of Ref-YouTube-VOS, and checks the result.

    python tools/dataset_converters/custom_to_rvos.py annotations.xml --frames videos --out data/custom
    python tools/dataset_converters/custom_to_rvos.py masks --frames frames --sentences sentences.csv --out data/custom

Annotations, in one or several files: json of COCO-VID or YouTube-VIS, CVAT's annotations.xml ("CVAT for video 1.1"
or "for images 1.1"), Label Studio's json, or a folder of masks VIDEO/FRAME.png whose pixel values number the objects.
Sentences come from the annotations or from a csv with the columns video, object, sentence; an object without one gets
its label as its sentence. Details and an example: docs/own_data.md.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ifirvos_cli.common import finite_number, output_path, positive_int, run_command, seed_number

DEFAULT_ROOT = Path('data/custom')  # of configs/ifirvos/finetune_custom.py
FORMATS = ('coco', 'cvat', 'label-studio', 'masks')  # those of ifirvos.datasets.custom, which takes seconds to import

WITHOUT_VALIDATION = "val_dataloader=None val_evaluator=None val_cfg=None 'custom_hooks=[]'"


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('annotations', nargs='+', type=Path, help='files or folders of annotations')
    parser.add_argument(
        '--frames', type=Path, required=True, help='a video, a folder of frames, or the folder that holds all of them'
    )
    parser.add_argument('--out', type=output_path, required=True, help='folder to create; must not exist')
    parser.add_argument('--sentences', type=Path, help='csv: video, object, sentence')
    parser.add_argument('--format', choices=FORMATS, help='format of the annotations; default: detected')
    parser.add_argument('--boxes', choices=('refuse', 'fill'), default='refuse', help='take boxes as masks: fill')
    parser.add_argument('--val-share', type=finite_number, default=0.2, help='videos for validation; default: 0.2')
    parser.add_argument(
        '--seed', type=seed_number, default=0, help='seed of the choice of validation videos; default: 0'
    )
    parser.add_argument('--every', type=positive_int, default=1, help='keep every N-th frame; 5 in Ref-YouTube-VOS')
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Convert, check with the doctor; return the exit code."""
    from rich.console import Console
    from rich.progress import track

    from ifirvos.datasets.custom import convert, read_annotations, read_sentences
    from ifirvos_cli import doctor

    sentences = None if args.sentences is None else read_sentences(args.sentences)
    videos = [video for path in args.annotations for video in read_annotations(path, args.format, args.boxes == 'fill')]
    report = convert(
        videos,
        args.frames,
        args.out,
        sentences,
        val_share=args.val_share,
        seed=args.seed,
        every=args.every,
        progress=lambda parts: track(parts, 'videos', console=Console(stderr=True)),
    )
    for split, number in report.videos.items():
        print(f'{split}: {number} videos, {report.expressions[split]} sentences')
    for note in report.notes:
        print(f'note: {note}')
    if report.from_labels:
        print(f'note: {report.from_labels} objects have no sentence; their label is used')
    if report.empty:
        print(f'note: {report.empty} of {report.frames} frames have no mask; they count as frames without the objects')
    if report.shared_pixels:
        print(f'note: {report.shared_pixels} pixels belong to several objects; the last one gets them')
    code = doctor.main(['ref-youtube-vos', str(args.out), '--out', str(args.out / 'doctor.json')])
    if code == 0:
        options = '' if args.out == DEFAULT_ROOT else f' --data-root {shlex.quote(str(args.out))}'
        if 'valid' not in report.videos:
            print('note: no video is left for validation, so the command below does not evaluate, nor stop early')
            options += f' --cfg-options {WITHOUT_VALIDATION}'
        print(f'next: python tools/train.py configs/ifirvos/finetune_custom.py{options}')
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    args = parse_args(argv)
    return run_command(lambda: run(args))


if __name__ == '__main__':
    sys.exit(main())
