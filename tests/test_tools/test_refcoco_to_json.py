"""The converter of RefCOCO: official files in, the json that circulates out, and no pickle that runs anything."""

import collections
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from synth_tree import write_layout
from tool_scripts import load_tool

from ifirvos.datasets import RefCOCOClipDataset
from ifirvos.datasets.transforms import LoadRVOSMasks
from ifirvos.errors import AnnotationError

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'dataset_converters' / 'refcoco_to_json.py'


@pytest.fixture(scope='module')
def tool():
    return load_tool('dataset_converters/refcoco_to_json.py')


def small_files(root: Path, refs: object = None, protocol: int = 2) -> Path:
    folder = root / 'refcoco'
    folder.mkdir(parents=True)
    instances = dict(
        info={},
        licenses=[],
        images=[dict(id=9, file_name='a.jpg', height=4, width=6, coco_url='')],
        annotations=[
            dict(
                id=51,
                image_id=9,
                segmentation=[[0, 0, 2, 0, 2, 2]],
                area=2.0,
                iscrowd=0,
                bbox=[0, 0, 2, 2],
                category_id=1,
            )
        ],
        categories=[dict(id=1, name='cat')],
    )
    (folder / 'instances.json').write_text(json.dumps(instances))
    if refs is None:
        refs = [
            ref('train', ['the left cat', 'die Katze, ganz süß']),
            ref('val', ['']),
            ref('testAB', ['the only cat']),
        ]
    (folder / 'refs(unc).p').write_bytes(pickle.dumps(refs, protocol=protocol))
    return root


def ref(split: str, texts: list[str]) -> dict:
    sentences = [dict(sent_id=number, sent=text, raw=text, tokens=text.split()) for number, text in enumerate(texts)]
    return dict(ref_id=1, ann_id=51, image_id=9, category_id=1, split=split, sentences=sentences, file_name='a.jpg')


@pytest.mark.parametrize('protocol', [0, 2, 5])
def test_known_files(tool, tmp_path, protocol):
    root = small_files(tmp_path, protocol=protocol)
    tool.main([str(root)])
    names = {path.name for path in (root / 'refcoco').glob('instances_*')}
    assert names == {f'instances_refcoco_{split}.json' for split in ('train', 'val', 'testA', 'testB')}
    train = json.loads((root / 'refcoco/instances_refcoco_train.json').read_text())
    assert train['images'][1] == dict(
        file_name='a.jpg',
        height=4,
        width=6,
        original_id=9,
        id=2,
        caption='die Katze, ganz süß',
        dataset_name='refcoco',
    )
    assert train['annotations'][1] == dict(
        segmentation=[[0, 0, 2, 0, 2, 2]],
        area=2.0,
        iscrowd=0,
        bbox=[0, 0, 2, 2],
        category_id=1,
        image_id=2,
        id=2,
        original_id=51,
    )
    assert json.loads((root / 'refcoco/instances_refcoco_val.json').read_text())['images'][0]['caption'] == ''


def test_files_are_replaced_only_when_asked(tool, tmp_path):
    root = small_files(tmp_path)
    tool.main([str(root)])
    with pytest.raises(SystemExit, match='exists'):
        tool.main([str(root)])
    tool.main([str(root), '--overwrite'])


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize('protocol', [0, 2, 5])
def test_a_pickle_that_runs_something_is_refused(tool, tmp_path, protocol):
    trace = tmp_path / 'trace'
    root = small_files(tmp_path, [dict(ref('train', ['x']), extra=Malicious(trace))], protocol)
    with pytest.raises(SystemExit, match=r'refs\(unc\)\.p is refused: it asks for'):
        tool.main([str(root)])
    assert not trace.exists()
    assert not list((root / 'refcoco').glob('instances_*'))


@pytest.mark.parametrize('value', [np.int64(3), collections.OrderedDict(a=1), Path('x'), print])
def test_anything_but_plain_values_is_refused(tool, tmp_path, value):
    root = small_files(tmp_path, [dict(ref('train', ['x']), extra=value)])
    with pytest.raises(SystemExit, match='is refused'):
        tool.main([str(root)])


def test_wrong_files_are_named(tool, tmp_path):
    with pytest.raises(SystemExit, match=r'refs\(unc\)\.p is missing: get it from'):
        tool.main([str(tmp_path)])
    with pytest.raises(SystemExit, match=r'refs\(umd\)\.p is missing'):
        tool.main([str(tmp_path), '--dataset', 'refcocog'])
    (tmp_path / 'refcocog').mkdir()
    (tmp_path / 'refcocog/refs(google).p').touch()
    with pytest.raises(SystemExit, match=r'missing: --split-by another \(refs\(google\)\.p\)'):
        tool.main([str(tmp_path), '--dataset', 'refcocog'])
    root = small_files(tmp_path, dict(no='list'))
    with pytest.raises(SystemExit, match='no list of refs'):
        tool.main([str(root)])
    refs = root / 'refcoco/refs(unc).p'
    refs.write_bytes(pickle.dumps([dict(ref('train', ['x']), ann_id=52)]))
    with pytest.raises(SystemExit, match='ref 1: 52 is not in the files'):
        tool.main([str(root)])
    refs.write_bytes(b'\x80\x02]')
    with pytest.raises(SystemExit, match='no readable pickle'):
        tool.main([str(root)])
    refs.write_bytes(pickle.dumps([ref('train', ['x'])]))
    (root / 'refcoco/instances.json').write_text('{}')
    with pytest.raises(SystemExit, match=r'instances\.json is no COCO file'):
        tool.main([str(root)])


def changed(**values) -> dict:
    return dict(ref('train', ['x']), **values)


@pytest.mark.parametrize(
    ('refs', 'says'),
    [
        ([changed(sentences='a cat')], "ref 1: sentences is 'a cat', not a list"),
        ([changed(sentences=['a cat'])], 'not a list of dicts'),
        ([changed(sentences=[dict(sent=3)])], 'the sentence is 3, not text'),
        ([changed(sentences=[{}])], "'sent' is not in the files"),
        ([changed(image_id=[9])], 'ref 1 is not as RefCOCO has them'),
        ([changed(split=3), ref('train', ['x'])], 'ref 1 is not as RefCOCO has them'),
        ([changed(ref_id=[[]], ann_id={})], 'is not as RefCOCO has them'),
        ([3], 'no list of refs'),
    ],
)
def test_refs_of_another_shape(tool, tmp_path, refs, says):
    with pytest.raises((SystemExit, AnnotationError), match=says):
        tool.main([str(small_files(tmp_path, refs))])
    assert not list((tmp_path / 'refcoco').glob('instances_*'))


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        ('[' * 100_000, 'nested too deeply'),
        ('{"images": 3, "annotations": [], "categories": []}', 'no lists'),
        ('{"images": [3], "annotations": [], "categories": []}', '3 of images is no dict'),
        ('{"images": [], "annotations": [{"id": [1]}], "categories": []}', 'of annotations is no dict with an id'),
        ('[]', 'is no COCO file'),
    ],
)
def test_instances_of_another_shape(tool, tmp_path, content, says):
    root = small_files(tmp_path)
    (root / 'refcoco/instances.json').write_text(content)
    with pytest.raises((SystemExit, AnnotationError), match=says):
        tool.main([str(root)])


def test_a_pickle_that_asks_for_a_huge_table_is_refused(tool, tmp_path):
    root = small_files(tmp_path)
    (root / 'refcoco/refs(unc).p').write_bytes(b'\x80\x02]r\xff\xff\xff\x7f.')  # 32 GB
    with pytest.raises(SystemExit, match='asks for a table'):
        tool.main([str(root)])


def test_synth_rvos_written_as_refcoco_comes_back(tool, tmp_path):
    clips = write_layout(tmp_path, 'refcoco', {'train': [0, 1], 'valid': [0], 'comp': [0]})
    assert sorted(path.name for path in (tmp_path / 'refcoco').iterdir()) == ['instances.json', 'refs(unc).p']
    tool.main([str(tmp_path)])
    init_default_scope('mmdet')
    clip = clips['valid'][0]
    dataset = RefCOCOClipDataset(str(tmp_path), split='val')
    label = clip.facts.labels[6]  # the middle of 12
    told = [e for e in clip.expressions if e.kind in ('attr', 'spatial', 'relation') and (label == e.object_id).any()]
    objects = {asked.text: asked.object_id for asked in told}
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert sorted(info['text'] for info in infos) == sorted(objects)
    for info in infos:
        assert info['video_id'] == '1000001'
        frame = dict(info['images'][0], obj_id=1, ori_shape=label.shape)
        mask = LoadRVOSMasks('coco').transform(frame)['gt_masks'].masks[0]
        np.testing.assert_array_equal(mask, label == objects[info['text']])
        assert Path(frame['img_path']).name == 'COCO_train2014_000001000001.jpg'
    assert len(RefCOCOClipDataset(str(tmp_path), split='testA')) > 0
