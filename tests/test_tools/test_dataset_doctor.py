"""`ifirvos doctor` on whole and on damaged trees of every data set."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tool_scripts import load_tool

from ifirvos.datasets import releases
from ifirvos_cli import doctor, synth

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
SIZE = (96, 144)


refcoco_to_json = load_tool('dataset_converters/refcoco_to_json.py', register=True)

# Layout of SynthRVOS -> data set, and its splits there.
DATASETS = {
    'ref-youtube-vos': ('ref-youtube-vos', ['train', 'valid']),
    'ref-davis17': ('ref-davis17', ['train', 'valid']),
    'ref-davis17-converted': ('ref-davis17', ['train', 'valid']),
    'a2d-sentences': ('a2d-sentences', ['train', 'test']),
    'jhmdb-sentences': ('jhmdb-sentences', ['test']),
    'mevis': ('mevis', ['train', 'valid_u']),
    'refcoco': ('refcoco', ['train', 'val']),
}


@pytest.fixture(scope='module')
def trees(tmp_path_factory):
    """A folder a layout, made when it is first asked for."""
    made = {}

    def tree(layout: str) -> Path:
        if layout not in made:
            root = tmp_path_factory.mktemp('trees') / layout
            size = ['--frames', '12', '--size', *map(str, SIZE)]
            splits = ['--splits', 'train', 'valid', '--train', '2', '--val', '2', '--workers', '0']
            synth.main(['--out', str(root), '--layout', layout, *splits, *size])
            if layout == 'refcoco':
                refcoco_to_json.main([str(root)])
            made[layout] = root
        return made[layout]

    return tree


@pytest.fixture
def copy_of(trees, tmp_path):
    """A copy that a test may damage."""
    return lambda layout: Path(shutil.copytree(trees(layout), tmp_path / 'tree'))


def run(dataset: str, root: Path, tmp_path: Path, *options: str) -> tuple[int, dict]:
    out = tmp_path / 'report.json'
    code = doctor.main([dataset, str(root), '--workers', '1', '--out', str(out), *options])
    return code, json.loads(out.read_text(encoding='utf-8'))


def problems(report: dict) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for split in report['splits'].values():
        for kind, texts in split['problems'].items():
            found.setdefault(kind, []).extend(texts)
    return found


@pytest.mark.parametrize('layout', DATASETS)
def test_whole_trees_are_fit_for_use(trees, tmp_path, capsys, layout):
    dataset, splits = DATASETS[layout]
    code, report = run(dataset, trees(layout), tmp_path)
    assert (code, report['ok'], list(report['splits'])) == (0, True, splits)
    assert problems(report) == {}
    for split in report['splits'].values():
        videos = split['counts']['pictures' if dataset == 'refcoco' else 'videos']
        assert split['release'] == 'SynthRVOS (generator 1.1, seed 0)'
        assert 1 <= videos <= 2
        assert split['frames'] == videos * (1 if dataset == 'refcoco' else 12)
        assert split['masks'] > 0
        assert split['without_masks'] == 0
    out, progress = capsys.readouterr()
    assert f'{splits[0]}: SynthRVOS' in out
    assert '100%' in progress


def test_synth_rvos_is_compared_with_what_was_written(copy_of, tmp_path):
    root = copy_of('ref-youtube-vos')
    code, report = run('synth-rvos', root, tmp_path)
    assert (code, problems(report), report['absent']) == (0, {}, ['comp'])
    edit(root / 'meta_expressions/train/meta_expressions.json', lambda videos: videos.pop('train_00001'))
    code, report = run('synth-rvos', root, tmp_path)
    assert code == 0
    (text,) = problems(report)['counts']
    assert text.startswith('1 videos')
    assert 'synth_rvos.json says 2 videos' in text


# ---- damage ----


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text(encoding='utf-8'))
    change(content.get('videos', content))
    path.write_text(json.dumps(content), encoding='utf-8')


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def shrink(path: Path) -> None:
    with Image.open(path) as picture:
        picture.resize((SIZE[1] // 2, SIZE[0] // 2)).save(path)


def spoil(path: Path) -> None:
    path.write_bytes(b'something else')


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)  # who opens it for reading waits for ever


def one_rle_of_another_size(path: Path) -> None:
    def change(tracks):
        tracks['0'][5]['size'] = [SIZE[1], SIZE[0]]

    edit(path, change)


YTVOS, DAVIS, A2D, JHMDB, MEVIS, COCO = (name for name in DATASETS if name != 'ref-davis17-converted')
PUPPET = 'puppet_mask/*/valid_00000/puppet_mask.mat'
DAMAGE = [
    (YTVOS, 'train/JPEGImages/train_00001/00005.jpg', Path.unlink, 'missing frame'),
    (YTVOS, 'train/JPEGImages/train_00001/00005.jpg', cut_short, 'unreadable frame'),
    (YTVOS, 'train/JPEGImages/train_00001/00005.jpg', shrink, 'frames of several sizes'),
    (YTVOS, 'valid/Annotations/valid_00000/00003.png', Path.unlink, 'missing mask'),
    (YTVOS, 'valid/Annotations/valid_00000/00003.png', spoil, 'unreadable mask'),
    (YTVOS, 'valid/Annotations/valid_00000/00003.png', pipe, 'unreadable mask'),
    (YTVOS, 'train/JPEGImages/train_00001/00005.jpg', pipe, 'unreadable frame'),
    (YTVOS, 'valid/Annotations/valid_00000/00003.png', shrink, 'mask of another size'),
    (YTVOS, 'meta_expressions/train/meta_expressions.json', spoil, 'not readable'),
    (YTVOS, 'train/Annotations', shutil.rmtree, 'not readable'),
    (DAVIS, 'DAVIS/JPEGImages/480p/valid_00000/00007.jpg', Path.unlink, 'not readable'),
    (DAVIS, 'DAVIS/Annotations_unsupervised/480p/valid_00000/00007.png', cut_short, 'unreadable mask'),
    (DAVIS, 'davis_text_annotations/Davis17_annot1.txt', Path.unlink, 'not readable'),
    (A2D, 'Release/clips320H/valid_00000.mp4', Path.unlink, 'missing frame'),
    (A2D, 'Release/clips320H/valid_00000.mp4', spoil, 'unreadable frame'),
    (A2D, 'text_annotations/a2d_annotation_with_instances/valid_00000/00003.h5', Path.unlink, 'missing mask'),
    (A2D, 'text_annotations/a2d_annotation_with_instances/valid_00000/00003.h5', spoil, 'unreadable mask'),
    (JHMDB, 'Rename_Images/*/valid_00000/00002.png', Path.unlink, 'missing frame'),
    (JHMDB, PUPPET, Path.unlink, 'missing mask'),
    (JHMDB, PUPPET, cut_short, 'unreadable mask'),
    (MEVIS, 'valid_u/JPEGImages/valid_00000/00004.jpg', spoil, 'unreadable frame'),
    (MEVIS, 'valid_u/mask_dict.json', one_rle_of_another_size, 'mask of another size'),
    (MEVIS, 'train/mask_dict.json', Path.unlink, 'not readable'),
    (COCO, 'train2014/COCO_train2014_000000000001.jpg', Path.unlink, 'missing frame'),
    (COCO, 'refcoco/instances_refcoco_val.json', spoil, 'not readable'),
]


@pytest.mark.parametrize(
    ('layout', 'name', 'harm', 'kind'),
    DAMAGE,
    ids=[f'{layout}-{kind}-{n}' for n, (layout, _, _, kind) in enumerate(DAMAGE)],
)
def test_damage_is_found_and_named(copy_of, tmp_path, layout, name, harm, kind):
    root = copy_of(layout)
    (path,) = root.glob(name)
    harm(path)
    code, report = run(DATASETS[layout][0], root, tmp_path)
    assert (code, report['ok']) == (1, False)
    found = problems(report)
    assert kind in found
    expected = 'train_00001' if kind == 'frames of several sizes' else path.name
    assert any(expected in text for text in found[kind]), found
    if kind == 'missing frame':  # and nothing follows from it that is not so
        assert set(found) == {kind}


def test_a_video_that_ends_before_its_annotation(copy_of, tmp_path):
    from ifirvos.video.writer import VideoWriter

    root = copy_of(A2D)
    path = root / 'Release/clips320H/valid_00000.mp4'
    path.unlink()
    with VideoWriter(path, 24, encoder='libx264') as video:
        for _ in range(8):
            video.write(np.zeros((*SIZE, 3), np.uint8))
    code, report = run(A2D, root, tmp_path, '--split', 'test')
    assert code == 1
    assert 'has 8 frames, so no frame 11' in problems(report)['missing frame'][0]


# ---- what is odd, but does not stop anything ----


def test_objects_that_are_never_shown(copy_of, tmp_path):
    root = copy_of(YTVOS)
    file = root / 'meta_expressions/train/meta_expressions.json'
    edit(file, lambda videos: videos['train_00000']['expressions']['0'].update(obj_id='77'))
    code, report = run(YTVOS, root, tmp_path)
    assert code == 0, 'a warning'
    assert any(text.startswith('expression 0 of train_00000') for text in problems(report)['object in no frame'])
    edit(file, lambda videos: videos['train_00000']['expressions']['0'].update(exp=' '))
    code, report = run(YTVOS, root, tmp_path)
    assert code == 1, 'training would stop there'
    assert any('expression 0 of train_00000' in text for text in problems(report)['empty sentence'])

    def forget_all(videos):
        for video in videos.values():
            for expression in video['expressions'].values():
                expression['obj_id'] = '77'

    edit(file, forget_all)
    code, report = run(YTVOS, root, tmp_path)
    assert code == 1
    assert 'nothing to learn' in problems(report)


@pytest.mark.parametrize('split', ['train', 'valid_u'])
def test_sentences_that_fit_nothing_are_counted_and_no_fault(copy_of, tmp_path, capsys, split):
    root = copy_of('mevis')
    assert run('mevis', root, tmp_path)[1]['splits'][split]['fit_nothing'] == 0
    assert 'fit nothing' not in capsys.readouterr().out
    edit(
        root / split / 'meta_expressions.json',
        lambda videos: next(iter(videos.values()))['expressions']['0'].update(obj_id=[], anno_id=[]),
    )
    code, report = run('mevis', root, tmp_path)
    assert (code, problems(report), report['splits'][split]['fit_nothing']) == (0, {}, 1)
    assert 'note: 1 of the sentences fit nothing in their video' in capsys.readouterr().out


def test_ids_that_two_samples_share(copy_of, tmp_path):
    root = copy_of(A2D)
    file = root / 'a2d_sentences_single_frame_test_annotations.json'
    rows = json.loads(file.read_text())
    file.write_text(json.dumps([*rows, ['the same once more', *rows[0][1:]]]))
    code, report = run(A2D, root, tmp_path)
    assert code == 0
    (text,) = problems(report)['shared id']
    assert 'is there 2 times' in text


def test_secret_masks_are_fine_for_submission_but_not_in_part(copy_of, tmp_path, capsys):
    root = copy_of(YTVOS)
    (root / 'valid/Annotations').rename(root / 'elsewhere')
    code, report = run(YTVOS, root, tmp_path)
    assert code == 0
    valid = report['splits']['valid']
    assert valid['without_masks'] == valid['counts']['expressions']
    assert 'to predict and submit' in capsys.readouterr().out
    (root / 'elsewhere').rename(root / 'valid/Annotations')
    edit(
        root / 'meta_expressions/valid/meta_expressions.json',
        lambda videos: videos['valid_00000']['expressions']['0'].pop('obj_id'),
    )
    code, report = run(YTVOS, root, tmp_path)
    assert code == 1
    assert problems(report)['no masks'][0].startswith('1 of ')


def test_a_split_without_expressions(copy_of, tmp_path):
    root = copy_of(YTVOS)
    edit(root / 'meta_expressions/valid/meta_expressions.json', lambda videos: videos.clear())
    code, report = run(YTVOS, root, tmp_path)
    assert code == 1
    assert 'not readable' in problems(report)


# ---- releases ----


def test_official_counts_name_the_release_and_others_are_a_warning(copy_of, tmp_path):
    known = releases.recognise
    assert known(releases.REF_YOUTUBE_VOS, 'train', dict(videos=3471, expressions=12913)) == 'the official training set'
    assert known(releases.REF_YOUTUBE_VOS, 'valid', dict(videos=202, expressions=834)) == 'the official validation set'
    assert known(releases.REF_YOUTUBE_VOS, 'valid', dict(videos=202, expressions=833)) is None
    assert known(releases.REF_DAVIS17, 'valid', dict(videos=30, expressions=9, annotators=4)) is not None
    assert known(releases.REF_DAVIS17, 'valid', dict(videos=30, expressions=9, annotators=2)) is None
    root = copy_of(DAVIS)
    (root / 'synth_rvos.json').unlink()
    code, report = run(DAVIS, root, tmp_path)
    assert code == 0
    assert report['splits']['valid']['release'] == 'no known release'
    assert '30 videos, 4 annotators' in problems(report)['counts'][1]


# ---- the command line ----


def test_processes_find_the_same(copy_of, tmp_path):
    root = copy_of(YTVOS)
    (root / 'train/JPEGImages/train_00001/00005.jpg').unlink()
    one, several = (run(YTVOS, root, tmp_path, '--workers', number) for number in '12')
    assert one == several


def test_quick_finds_what_is_missing_but_decodes_nothing(copy_of, tmp_path):
    root = copy_of(YTVOS)
    cut_short(root / 'train/JPEGImages/train_00001/00005.jpg')
    assert run(YTVOS, root, tmp_path, '--quick')[0] == 0
    assert run(YTVOS, root, tmp_path)[0] == 1
    (root / 'valid/Annotations/valid_00000/00003.png').unlink()
    code, report = run(YTVOS, root, tmp_path, '--quick')
    assert code == 1
    assert set(problems(report)) == {'missing mask'}


def test_a_tree_without_one_split_is_fit(copy_of, tmp_path):
    """DAVIS's lists name the videos of both splits, whichever was downloaded."""
    root = copy_of('ref-davis17')
    davis = root / 'DAVIS'
    for video in (davis / 'ImageSets/2017/train.txt').read_text().split():
        for folder in davis.glob(f'*/480p/{video}'):
            shutil.rmtree(folder)
    code, report = run('ref-davis17', root, tmp_path)
    assert (code, list(report['splits']), report['absent']) == (0, ['valid'], ['train'])


def test_nothing_there_and_splits_that_are_asked_for(copy_of, tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    assert run('refcocog', tmp_path / 'empty', tmp_path)[0] == 1
    assert 'refcoco_to_json' in capsys.readouterr().out
    code, report = run(MEVIS, copy_of(MEVIS), tmp_path, '--split', 'valid')
    assert code == 1
    assert 'valid/JPEGImages' in problems(report)['not readable'][0]
    with pytest.raises(SystemExit, match='no split'):
        run(MEVIS, tmp_path, tmp_path, '--split', 'testA')
