"""Every annotation and mask file of every data set, changed: it is read, or one of our errors says why not."""

import json
import random
import shutil
from pathlib import Path

import pytest
from mmengine.registry import init_default_scope
from mutations import changed_bytes, changed_json, is_answered, run_all
from synth_tree import write_layout

from ifirvos.datasets.doctor import DATASET_KINDS
from ifirvos.datasets.doctor.checks import build
from ifirvos.datasets.transforms import LoadRVOSMasks

# Layout of SynthRVOS -> the data set, a split of it, and which files are changed.
LAYOUTS = {
    'ref-youtube-vos': ('ref-youtube-vos', 'valid', ['meta_expressions/valid/*.json', 'valid/Annotations/*/00005.png']),
    'ref-davis17': ('ref-davis17', 'valid', ['**/val.txt', '**/*annot*.txt']),
    'ref-davis17-converted': ('ref-davis17', 'valid', ['meta_expressions/valid/*.json']),
    'a2d-sentences': ('a2d-sentences', 'test', ['*.txt', '**/*.csv', '**/*.h5', '**/*.mp4', '**/*.webm']),
    'jhmdb-sentences': ('jhmdb-sentences', 'test', ['*.txt', '*.json', '**/*.mat']),
    'mevis': ('mevis', 'valid_u', ['valid_u/*.json']),
}
KEPT = [0, 1, 2, 3, 4, 5]  # seeds of every run; what was found with others joins them
LOOKED_AT = 4  # records and frames


@pytest.fixture(scope='module')
def trees(tmp_path_factory):
    made = {}

    def tree(layout: str) -> Path:
        if layout not in made:
            made[layout] = tmp_path_factory.mktemp('fuzz') / layout
            splits = {'valid': [0]} if layout == 'jhmdb-sentences' else {'train': [0], 'valid': [0]}  # it has no other
            write_layout(made[layout], layout, splits)
        return made[layout]

    return tree


def read_all(kind, root: Path, split: str) -> None:
    """What training and evaluation ask of a data set, without the frames."""
    dataset = build(kind, str(root), split)
    masks = LoadRVOSMasks(kind.reader)
    for index in range(min(len(dataset), LOOKED_AT)):
        info = dataset.get_data_info(index)
        for image in info['images'][:LOOKED_AT]:
            if image['mask_path'] is not None:
                masks.transform({**image, 'obj_id': info['obj_id'], 'ori_shape': (96, 144)})


def fuzz(layout: str, root: Path, work: Path, seeds, seconds: float) -> dict[str, int]:
    dataset, split, patterns = LAYOUTS[layout]
    kind = DATASET_KINDS[dataset]
    files = sorted({path for pattern in patterns for path in root.glob(pattern)})
    assert files
    shutil.copytree(root, work, copy_function=lambda a, b: Path(b).symlink_to(a))
    init_default_scope('mmdet')
    read_all(kind, work, split)  # unchanged it is read

    def try_one(seed: int) -> bool:
        path = random.Random(seed).choice(files)
        content = path.read_bytes()
        if path.suffix == '.json' and seed % 2:
            content = json.dumps(changed_json(json.loads(content), seed)).encode()
        else:
            content = changed_bytes(content, seed)
        place = work / path.relative_to(root)
        place.unlink()
        place.write_bytes(content)
        try:
            return is_answered(lambda: read_all(kind, work, split))
        finally:
            place.unlink()
            place.symlink_to(path)

    return run_all(try_one, seeds, seconds)


@pytest.mark.parametrize('layout', ['ref-youtube-vos', 'ref-davis17', 'mevis'])
def test_a_few_changes_of_every_kind(trees, tmp_path, layout):
    assert fuzz(layout, trees(layout), tmp_path / 'work', KEPT, 120)['tried'] == len(KEPT)


@pytest.mark.slow
@pytest.mark.parametrize('layout', LAYOUTS)
def test_many_changes(trees, tmp_path, layout, record_property):
    counts = fuzz(layout, trees(layout), tmp_path / 'work', range(2000), 30)
    record_property('counts', counts)
    assert counts['tried'] >= 100
    assert counts['refused'] > 0
