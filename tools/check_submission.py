"""Checks a submission to the servers of Ref-YouTube-VOS and MeViS before it is sent.

    python tools/check_submission.py ZIP_OR_FOLDER --expressions meta_expressions.json [--without other.json]
                                     [--frames JPEGImages] [--layout mevis]

Every video, expression and frame of the expression file must exist as an 8-bit grey PNG of the frame's size with values
0 and 255 only, and nothing else. ``--without`` excludes the videos of a second file (on Ref-YouTube-VOS the validation
set is ``valid`` minus ``test``). Without ``--frames`` all masks of a video must have the same size. Exit code 1 if
anything is wrong.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


from ifirvos_cli.common import main_of, tool_arguments


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('submission', type=Path)
    parser.add_argument('--expressions', type=Path, required=True)
    parser.add_argument('--without', type=Path, help='expression file of videos to leave out')
    parser.add_argument(
        '--layout',
        choices=('ytvos', 'mevis'),
        default='ytvos',
        help='of the zip; default: ytvos; mevis: the folders of the videos without Annotations above them',
    )
    parser.add_argument('--frames', type=Path, help='folder of the frames, VIDEO/FRAME.jpg')
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

from PIL import Image

import ifirvos  # noqa: F401  (before mmcv: it may have to stand in for compiled operators)
from ifirvos.datasets.records import read_expression_file
from ifirvos.errors import AnnotationError
from ifirvos.evaluation.submission.files import check_submission
from ifirvos.frame_sizes import size_as_read
from ifirvos.json_files import check_regular
from ifirvos.safe_names import checked_name

_SHOWN = 20


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    args = parse_args(argv)
    videos = read_expression_file(str(args.expressions))
    for name in read_expression_file(str(args.without)) if args.without else ():
        videos.pop(name, None)
    expected = {(name, exp): video['frames'] for name, video in videos.items() for exp in video['expressions']}
    sizes = {}
    for name, video in videos.items() if args.frames else ():
        frame = args.frames / name / f'{checked_name(video["frames"][0], "frame", str(args.expressions))}.jpg'
        check_regular(frame, 'frame')
        try:
            with Image.open(frame) as picture:
                sizes[name] = size_as_read(picture)
        except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise AnnotationError(f'{frame} cannot be read as a picture: {error}.') from error
    try:
        problems = list(check_submission(args.submission, expected, sizes, args.layout))
    except FileNotFoundError as error:
        raise SystemExit(
            f'{args.submission} does not exist: name the zip, or the folder that holds Annotations.'
        ) from error
    for problem in problems[:_SHOWN]:
        print(problem)
    if len(problems) > _SHOWN:
        print(f'… and {len(problems) - _SHOWN} more')
    masks = sum(map(len, expected.values()))
    if sum(problem.endswith(' is missing') for problem in problems) == masks:
        print('None of the masks is where it should be: is it the other --layout, or another split?')
    verdict = f'{len(problems)} problems in' if problems else 'complete:'
    print(f'{verdict} {len(videos)} videos, {len(expected)} expressions, {masks} masks')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main_of(main))
