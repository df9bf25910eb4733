"""RefDAVIS17Dataset on SynthRVOS written as DAVIS 2017 with its text files, and as the copy of it that circulates."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shipped import shipped_dataset
from synth_tree import FRAMES, SIZE, files_below, write_layout

from ifirvos.datasets import RefDAVIS17Dataset
from ifirvos.datasets.ref_davis17 import read_sentences

LAST = 'the red one below the tiny orange circle'  # the last sentence of clip 1
CLIPS = {'train': [0], 'valid': [0, 1]}


@pytest.fixture(scope='module')
def trees(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('davis')
    for name in ('ref-davis17', 'ref-davis17-converted'):
        write_layout(folder / name, name, CLIPS)
    return folder / 'ref-davis17', folder / 'ref-davis17-converted'


@pytest.fixture
def root(trees, tmp_path) -> Path:
    return Path(shutil.copytree(trees[0], tmp_path / 'davis'))


def text_file(root: Path, number: int = 1, full: bool = False) -> Path:
    return root / 'davis_text_annotations' / f'Davis17_annot{number}{"_full_video" if full else ""}.txt'


def records(dataset) -> list[dict]:
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def test_trees_are_those_of_the_releases(trees):
    texts = {f'davis_text_annotations/{path.name}' for path in (trees[0] / 'davis_text_annotations').iterdir()}
    assert len(texts) == 4
    assert files_below(trees[0]) == texts | {
        'DAVIS/JPEGImages/480p/VIDEO/*.jpg',
        'DAVIS/Annotations_unsupervised/480p/VIDEO/*.png',
        'DAVIS/ImageSets/2017/train.txt',
        'DAVIS/ImageSets/2017/val.txt',
    }
    assert text_file(trees[0]).read_text().splitlines()[-1] == f'valid_00001 4 "{LAST}"'
    assert (trees[0] / 'DAVIS/ImageSets/2017/val.txt').read_text() == 'valid_00000\nvalid_00001\n'
    assert files_below(trees[1]) == {
        f'{split}/{name}'
        for split in ('train', 'valid')
        for name in ('JPEGImages/VIDEO/*.jpg', 'Annotations/VIDEO/*.png', 'meta.json')
    } | {f'meta_expressions/{split}/meta_expressions.json' for split in ('train', 'valid')}
    videos = json.loads((trees[1] / 'meta_expressions/valid/meta_expressions.json').read_text())['videos']
    assert videos['valid_00001']['frames'] == [f'{frame:05d}' for frame in range(FRAMES)]
    assert videos['valid_00001']['expressions']['13'] == {
        'obj_id': '4',
        'exp': 'the red one below the tiny orange circle',
    }


def test_known_record_of_both_trees(trees):
    davis, copy = (RefDAVIS17Dataset(str(root)) for root in trees)
    assert davis.test_mode
    assert len(davis) == len(copy) == 4 * (3 + 4)  # three and four objects that sentences name
    # Video valid_00001, after 3 objects of 4 sentences: its first object as annotator 1 saw it in the whole video.
    info = davis.get_data_info(13)
    assert {key: value for key, value in info.items() if key != 'images'} == dict(
        video_id='valid_00001',
        exp_id='1',
        text='the left red circle',
        kind='full_video',
        obj_id=1,
        annotator=1,
        video_length=FRAMES,
        sample_idx=13,
    )
    assert Path(info['images'][5]['img_path']) == trees[0] / 'DAVIS/JPEGImages/480p/valid_00001/00005.jpg'
    with Image.open(info['images'][5]['mask_path']) as mask:
        assert (np.asarray(mask) == 1).sum() == 322
    for index in range(len(davis)):
        one, other = davis.get_data_info(index), copy.get_data_info(index)
        for image, same in zip(one.pop('images'), other.pop('images'), strict=True):
            assert Path(image['img_path']).read_bytes() == Path(same['img_path']).read_bytes()
            assert Path(image['mask_path']).read_bytes() == Path(same['mask_path']).read_bytes()
        assert one == other


def test_annotators_take_turns_and_can_be_chosen(trees):
    for root in trees:
        every = records(RefDAVIS17Dataset(str(root)))
        assert [info['annotator'] for info in every] == [0, 1, 2, 3] * 7
        assert all(int(info['exp_id']) % 4 == info['annotator'] for info in every)
        some = records(RefDAVIS17Dataset(str(root), annotators=[0, 3]))
        assert [(info['annotator'], info['kind']) for info in some] == [(0, 'first_frame'), (3, 'full_video')] * 7
    with pytest.raises(ValueError, match=r'\[4\].*0, 1, 2 and 3'):
        RefDAVIS17Dataset(str(root), annotators=[4])


def test_training_has_key_frames(trees):
    for root in trees:
        dataset = RefDAVIS17Dataset(str(root), 'train', key_frame_interval=6)
        assert not dataset.test_mode
        assert [info['key_frame_id'] for info in records(dataset)] == [0, 6] * 4 * 3


def test_shipped_pipeline_gives_what_the_metric_reads(trees):
    clips = [shipped_dataset('ref_davis17', root, 'test_dataloader')[13] for root in trees]
    for packed in clips:
        sample = packed['data_samples']
        assert packed['inputs'].shape == (FRAMES, 3, 360, 540)
        assert (sample.annotator, sample.obj_id, sample.exp_id, sample.kind) == (1, 1, '1', 'full_video')
        assert (sample.text, sample.video_id) == ('the left red circle', 'valid_00001')
        assert sample.ori_video_length == FRAMES
        for frame in sample:
            with Image.open(frame.mask_path) as labels:
                np.testing.assert_array_equal(frame.gt_instances.masks.masks[0], np.asarray(labels) == 1)
            assert frame.ori_shape == SIZE


def test_davis_itself_can_be_the_root(root):
    expected = records(RefDAVIS17Dataset(str(root)))
    shutil.move(root / 'davis_text_annotations', root / 'DAVIS')
    found = records(RefDAVIS17Dataset(str(root / 'DAVIS'), 'val'))
    assert [info['text'] for info in found] == [info['text'] for info in expected]
    shutil.move(root / 'DAVIS/davis_text_annotations', root / 'texts')
    assert len(RefDAVIS17Dataset(str(root), text_root='texts')) == len(expected)


def test_text_files_as_they_are_found(tmp_path):
    file = tmp_path / 'annot.txt'
    lines = [
        'dog-scale 2 "a  dog"',
        'clasic-car 1 "an old car"',
        '',
        'motor-bike 1 ""',
        'dog-scale 1 "caf\xe9\x85 dog"',
    ]
    file.write_bytes('\r\n'.join(lines).encode('latin-1'))
    expected = {
        'dogs-scale': {2: 'a dog', 1: 'caf\xe9 dog'},
        'classic-car': {1: 'an old car'},
        'motorbike': {1: ''},
    }
    assert read_sentences(str(file)) == expected
    file.write_bytes('\n'.join(lines).encode('utf-8-sig'))
    assert read_sentences(str(file)) == expected
    file.write_bytes(b'cows 1 \x93a "brown" cow\x94\ncows 1 "again"')
    assert read_sentences(str(file)) == {'cows': {1: 'a "brown" cow'}}


@pytest.mark.parametrize('line', ['cows', 'cows one "a cow"'])
def test_a_bad_line_is_named(tmp_path, line):
    (tmp_path / 'annot.txt').write_text(f'cows 1 "a cow"\n{line}\n')
    with pytest.raises(ValueError, match='Line 2 of .*annot.txt'):
        read_sentences(str(tmp_path / 'annot.txt'))


def test_awkward_sentences(root):
    long = ' '.join(f'word{number}' for number in range(600))
    lines = text_file(root, 2).read_text(encoding='latin-1').splitlines()
    lines[-1] = f'valid_00001 4 "{long}"'
    lines[-2] = 'valid_00001 3 ""'
    lines[-3] = 'valid_00001 2 "la boîte à côté"'
    text_file(root, 2).write_text('\n'.join(lines[::-1]), encoding='latin-1')  # lines in another order
    said = {
        info['obj_id']: info['text']
        for info in records(RefDAVIS17Dataset(str(root), annotators=[2]))
        if info['video_id'] == 'valid_00001'
    }
    assert (said[4], said[3], said[2]) == (long, '', 'la boîte à côté')


def test_one_frame_video_and_object_that_is_absent(root):
    for folder in ('JPEGImages', 'Annotations_unsupervised'):
        for path in sorted((root / 'DAVIS' / folder / '480p/valid_00000').iterdir())[1:]:
            path.unlink()
    mask = root / 'DAVIS/Annotations_unsupervised/480p/valid_00000/00000.png'
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(mask)
    sample = shipped_dataset('ref_davis17', root, 'test_dataloader')[0]['data_samples']
    assert (len(sample), sample.ori_video_length) == (1, 1)
    assert sample[0].gt_instances.masks.masks.shape == (0, *SIZE)


def test_hidden_files_are_no_frames(root):
    before = records(RefDAVIS17Dataset(str(root)))
    for folder, name in (('JPEGImages', '._00000.jpg'), ('JPEGImages', '.DS_Store'), ('JPEGImages', '.a.jpg')):
        (root / 'DAVIS' / folder / '480p/valid_00001' / name).touch()
    assert records(RefDAVIS17Dataset(str(root))) == before


@pytest.mark.parametrize('name', ['JPEGImages/480p/valid_00001/00005.jpg', 'JPEGImages/480p/valid_00001/00011.jpg'])
def test_a_missing_frame_is_named(root, name):
    (root / 'DAVIS' / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        RefDAVIS17Dataset(str(root))


def test_other_missing_files_are_named(root):
    def removed(name: str, message: str, **kwargs) -> None:
        path = root / name
        path.rename(root / 'hidden')
        with pytest.raises(FileNotFoundError, match=message):
            RefDAVIS17Dataset(str(root), **kwargs)
        (root / 'hidden').rename(path)

    removed('DAVIS/Annotations_unsupervised/480p/valid_00001/00003.png', 'valid_00001/00003.png')
    removed('DAVIS/JPEGImages/480p/valid_00000', 'JPEGImages/480p/valid_00000')
    removed('DAVIS/JPEGImages/480p', 'DAVIS/JPEGImages/480p')
    removed('DAVIS/ImageSets/2017/val.txt', 'ImageSets/2017/val.txt')
    removed('davis_text_annotations/Davis17_annot2_full_video.txt', 'Davis17_annot2_full_video.txt')
    removed('DAVIS/Annotations_unsupervised', 'Annotations_unsupervised/480p', split='train')
    (root / 'DAVIS/Annotations_unsupervised').rename(root / 'elsewhere')
    info = RefDAVIS17Dataset(str(root)).get_data_info(0)  # to predict, masks are not needed
    assert info['images'][0]['mask_path'] is None


def test_evaluation_wants_all_four_sentences(root, trees, tmp_path):
    file = text_file(root, 2, full=True)
    file.write_text('\n'.join(file.read_text(encoding='latin-1').splitlines()[:-1]), encoding='latin-1')
    with pytest.raises(ValueError, match='Object 4 of video valid_00001 .*Davis17_annot2_full_video.txt'):
        RefDAVIS17Dataset(str(root))
    assert len(RefDAVIS17Dataset(str(root), test_mode=False, records='expression')) == 4 * (3 + 4) - 1
    copy = Path(shutil.copytree(trees[1], tmp_path / 'copy'))
    file = copy / 'meta_expressions/valid/meta_expressions.json'
    content = json.loads(file.read_text())
    content['videos']['valid_00000']['expressions'].pop('3')
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='valid_00000 .* 11 expressions'):
        RefDAVIS17Dataset(str(copy))


def test_ids_that_are_no_numbers(trees, tmp_path):
    """Names of expressions may be anything, because annotators are told by place; objects are pixel values."""
    copy = Path(shutil.copytree(trees[1], tmp_path / 'copy'))
    file = copy / 'meta_expressions/valid/meta_expressions.json'
    content = json.loads(file.read_text())
    video = content['videos']['valid_00000']
    video['expressions'] = {f'exp-{place}': raw for place, raw in enumerate(video['expressions'].values())}
    file.write_text(json.dumps(content))
    first = records(RefDAVIS17Dataset(str(copy)))[:5]
    assert [(info['exp_id'], info['annotator']) for info in first] == [(f'exp-{n}', n % 4) for n in range(5)]
    video['expressions']['exp-2']['obj_id'] = 'dog'
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="exp-2 of video valid_00000.*'dog'"):
        RefDAVIS17Dataset(str(copy))
