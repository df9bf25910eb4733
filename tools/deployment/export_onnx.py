"""Writes a model as an ONNX file, for runtimes without Python.

    python tools/deployment/export_onnx.py --out model.onnx --size 96 144 --words 24 [--model NAME | --weights FILE]

The number of frames is free; their size and the number of tokens are fixed. With onnxruntime installed, the file is run
once and compared with the model. docs/deployment.md describes inputs and outputs.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ifirvos_cli.common import (
    add_model_options,
    check_model_options,
    main_of,
    output_path,
    positive_int,
    tool_arguments,
)

SENTENCE = 'the red circle'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_options(parser)
    size = dict(type=positive_int, nargs=2, metavar=('H', 'W'))
    parser.add_argument('--out', type=output_path, required=True, help='file to write, .onnx')
    parser.add_argument('--size', required=True, **size, help='frame size in pixels, after resizing')
    parser.add_argument('--mask-size', **size, help='size of the masks, such as that of the video; default: --size')
    parser.add_argument(
        '--words', type=positive_int, default=32, help='tokens of a sentence, with padding (%(default)s)'
    )
    args = parser.parse_args(argv)
    check_model_options(parser, args)
    return args


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    args = parse_args(argv)
    if args.offline:
        from ifirvos_cli.common import go_offline

        go_offline()

    from importlib.util import find_spec

    from ifirvos.files import check_file
    from ifirvos.inference.deployment import differences, export_onnx, pad_tokens
    from ifirvos.inference.loading import open_model, resolve_model

    check_file(args.out)
    opened = open_model(resolve_model(args.model or args.config, args.weights), args.cfg_options, args.text_encoder)
    model = opened.build('cpu')
    pad_tokens(model, SENTENCE, args.words)  # too few are said before the minutes that the export takes
    facts = dict(config=str(opened.config_name), text_encoder=opened.config.model.text_encoder.get('name'))
    export_onnx(model, args.out, args.size, args.words, args.mask_size, facts)
    print(f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB')
    if find_spec('onnxruntime') is None:
        print("Not compared with the model: install onnxruntime (pip install 'ifirvos[onnx]').")
        return
    found = differences(model, args.out, SENTENCE)
    print('largest differences to the model: ' + ', '.join(f'{name} {value:.1e}' for name, value in found.items()))


if __name__ == '__main__':
    sys.exit(main_of(main))
