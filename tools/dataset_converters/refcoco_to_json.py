"""Converts RefCOCO, RefCOCO+ or RefCOCOg to json: one file per split, with an image and an annotation per expression.

    python tools/dataset_converters/refcoco_to_json.py data/coco --dataset refcoco --split-by unc

reads data/coco/refcoco/refs(unc).p and instances.json and writes data/coco/refcoco/instances_refcoco_train.json and so
on, the files that ReferFormer uses. Without --split-by: unc for refcoco and refcoco+, umd for refcocog.

refs(*).p is a pickle, which can run code when loaded. It is read with a restricted unpickler, which accepts only lists,
dictionaries, numbers and strings.
"""

import argparse
import io
import pickle
import pickletools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from ifirvos_cli.common import main_of, tool_arguments


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('root', type=Path, help='folder that holds the folder of the data set')
    parser.add_argument(
        '--dataset', choices=('refcoco', 'refcoco+', 'refcocog'), default='refcoco', help='data set to convert'
    )
    parser.add_argument(
        '--split-by',
        choices=('unc', 'umd', 'google'),
        default=argparse.SUPPRESS,
        help='split, as in the name of refs(*).p; its files have the same names, so keep another in a root of its own '
        '(default: umd for refcocog, else unc)',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace files that exist')
    args = parser.parse_args(argv)
    if 'split_by' not in args:
        args.split_by = 'umd' if args.dataset == 'refcocog' else 'unc'
    return args


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

from rich.console import Console
from rich.progress import track

from ifirvos.datasets.records import checked_text
from ifirvos.errors import AnnotationError, MissingFileError
from ifirvos.json_files import read_json, read_regular
from ifirvos.safe_names import shown
from ifirvos.synth.writer import write_json

# A split of the data set -> whether a ref's own split belongs to it. 'testAB' is in both halves, as in the refer API.
SPLITS = {
    'train': lambda name: name == 'train',
    'val': lambda name: name == 'val',
    'test': lambda name: name == 'test',
    'testA': lambda name: name.startswith('test') and 'A' in name,
    'testB': lambda name: name.startswith('test') and 'B' in name,
}


class ConversionError(AnnotationError):
    """The files are not what they should be; the message says which, and why."""


class PlainUnpickler(pickle.Unpickler):
    """Loads lists, tuples, dictionaries, sets, numbers, strings, None; refuses everything that names code."""

    def find_class(self, module: str, name: str) -> None:
        """Refuse every class and function that a pickle names."""
        raise ConversionError(
            f'it asks for {module}.{name}, but must hold lists, dictionaries, numbers and strings only'
        )


def load_refs(path: Path) -> list[dict]:
    """Read refs(*).p.

    Raises:
        ConversionError: it is no pickle of plain values, or no list of refs.
    """
    try:
        content = read_regular(path)
    except MissingFileError as error:
        there = ', '.join(sorted(other.name for other in path.parent.glob('refs(*).p')))
        remedy = f'--split-by another ({there})' if there else 'get it from https://github.com/lichengunc/refer'
        raise ConversionError(f'{path} is missing: {remedy}.') from error
    try:
        check_sizes(content)
        refs = PlainUnpickler(io.BytesIO(content), encoding='utf-8').load()
    except ConversionError as error:
        raise ConversionError(f'{path} is refused: {error}.') from error
    except Exception as error:  # a damaged pickle fails in any way it likes
        raise ConversionError(f'{path} is no readable pickle: {shown(repr(error), 200)}.') from error
    if not isinstance(refs, list) or not all(isinstance(ref, dict) for ref in refs):
        raise ConversionError(f'{path} holds no list of refs.')
    return refs


def check_sizes(content: bytes) -> None:
    """Refuse a pickle that makes the unpickler take memory which its bytes do not account for.

    The number under which a value is remembered sizes a table: five bytes can ask for 32 GB.

    Raises:
        ConversionError: a number of that kind is larger than the file.
        ValueError: it is no pickle.
    """
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in ('PUT', 'BINPUT', 'LONG_BINPUT') and argument > len(content):
            raise ConversionError(f'it asks for a table of {argument:,} values')


def load_instances(path: Path) -> dict:
    """Read instances.json.

    Raises:
        ConversionError: it is missing or no COCO file.
    """
    try:
        content = read_json(path)
    except MissingFileError as error:
        raise ConversionError(f'{path} is missing: get it from https://github.com/lichengunc/refer.') from error
    parts = ('images', 'annotations', 'categories')
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in parts):
        raise ConversionError(f'{path} is no COCO file: it has no lists of images, annotations and categories.')
    for part in parts[:2]:
        for entry in content[part]:
            if not isinstance(entry, dict) or not isinstance(entry.get('id'), int | str):
                raise ConversionError(f'{path} is no COCO file: {shown(entry)} of {part} is no dict with an id.')
    return content


def convert(refs: list[dict], instances: dict, dataset: str, split: str) -> dict:
    """Return the file of one split.

    Args:
        refs: Records of all splits.
        instances: Content of instances.json.
        dataset: Its name, for `dataset_name`.
        split: A key of `SPLITS`.

    Returns:
        A COCO file; image and annotation number n, from 1, belong to the n-th expression. Empty lists if no ref is in
        the split.

    Raises:
        ConversionError: a ref lacks a key, or names an image or annotation that is not there.
    """
    known_images = {image['id']: image for image in instances['images']}
    known_annotations = {annotation['id']: annotation for annotation in instances['annotations']}
    images, annotations = [], []
    for ref in refs:
        try:
            if not isinstance(ref['split'], str):
                raise TypeError(f'split is {shown(ref["split"])}')
            if not SPLITS[split](ref['split']):
                continue
            image, annotation = known_images[ref['image_id']], known_annotations[ref['ann_id']]
            for sentence in said_in(ref):
                number = len(images) + 1
                images.append(
                    dict(
                        {key: image[key] for key in ('file_name', 'height', 'width')},
                        original_id=image['id'],
                        id=number,
                        caption=sentence['sent'],
                        dataset_name=dataset,
                    )
                )
                annotations.append(
                    dict(
                        {key: annotation[key] for key in ('segmentation', 'area', 'iscrowd', 'bbox', 'category_id')},
                        image_id=number,
                        id=number,
                        original_id=annotation['id'],
                    )
                )
        except KeyError as error:
            raise ConversionError(
                f'ref {shown(ref.get("ref_id"))}: {shown(error.args[0])} is not in the files.'
            ) from error
        except (TypeError, AttributeError) as error:  # an id that is a list, a split that is a number
            raise ConversionError(f'ref {shown(ref.get("ref_id"))} is not as RefCOCO has them: {error}.') from error
    return dict(
        info=instances.get('info', ''),
        licenses=instances.get('licenses', []),
        images=images,
        annotations=annotations,
        categories=instances['categories'],
    )


def said_in(ref: dict) -> list[dict]:
    """Return a ref's sentences.

    Raises:
        ConversionError: they are no list of dicts with a text `sent`.
    """
    where, sentences = f'ref {shown(ref.get("ref_id"))}', ref['sentences']
    if not isinstance(sentences, list) or not all(isinstance(sentence, dict) for sentence in sentences):
        raise ConversionError(f'{where}: sentences is {shown(sentences)}, not a list of dicts.')
    for sentence in sentences:
        checked_text(sentence['sent'], where)
    return sentences


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    folder = args.root / args.dataset
    console = Console()
    try:
        refs = load_refs(folder / f'refs({args.split_by}).p')
        instances = load_instances(folder / 'instances.json')
        present = {ref['split'] for ref in refs if isinstance(ref.get('split'), str)}
        splits = [split for split, belongs in SPLITS.items() if any(belongs(name) for name in present)]
        if not splits:
            raise ConversionError(f'{folder}/refs({args.split_by}).p has no ref of a split: {", ".join(SPLITS)}.')
        paths = {split: folder / f'instances_{args.dataset}_{split}.json' for split in splits}
        existing = [str(path) for path in paths.values() if path.exists()]
        if existing and not args.overwrite:
            raise ConversionError(f'{existing[0]} exists: remove it or use --overwrite.')
        for split, path in track(paths.items(), description=args.dataset, console=console):
            content = convert(refs, instances, args.dataset, split)
            write_json(path, content)
            console.print(f'{path}: {len(content["images"])} expressions')
    except ConversionError as error:
        sys.exit(str(error))


if __name__ == '__main__':
    sys.exit(main_of(main))
