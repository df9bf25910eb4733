"""The tool that writes SynthRVOS: once in full as a user runs it, then piece by piece in this process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ifirvos.label_maps import davis_palette
from ifirvos.synth import make_clip
from ifirvos.synth.layouts import LAYOUTS
from ifirvos.synth.writer import frame_names
from ifirvos_cli.synth import main

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'dataset_converters' / 'make_synth_rvos.py'


SMALL = ('--frames', '12', '--size', '96', '144')


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('data') / 'synth_rvos'
    command = [
        sys.executable,
        TOOL,
        '--out',
        out,
        '--train',
        '10',
        '--val',
        '5',
        '--comp',
        '2',
        '--workers',
        '2',
        *SMALL,
    ]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'COLUMNS': '150'})
    assert result.returncode == 0, result.stderr
    assert 'train: 10 clips' in result.stdout
    assert 'direction' in result.stdout
    return out


def test_layout_is_that_of_ref_youtube_vos(root):
    for split, count in (('train', 10), ('valid', 5), ('comp', 2)):
        asked = json.loads((root / 'meta_expressions' / split / 'meta_expressions.json').read_text())['videos']
        meta = json.loads((root / split / 'meta.json').read_text())['videos']
        assert len(asked) == count
        assert list(asked) == list(meta)
        for video, entry in asked.items():
            assert entry['frames'] == [f'{frame:05d}' for frame in range(12)]
            for kind, suffix in (('JPEGImages', 'jpg'), ('Annotations', 'png')):
                files = sorted(path.name for path in (root / split / kind / video).iterdir())
                assert files == [f'{name}.{suffix}' for name in entry['frames']]
            assert list(entry['expressions']) == [str(number) for number in range(len(entry['expressions']))]
            for expression in entry['expressions'].values():
                assert set(expression) == {'exp', 'obj_id', 'kind'}
                if expression['kind'] == 'absent':
                    assert expression['obj_id'] == '0'
                else:
                    assert expression['obj_id'] in meta[video]['objects']
            kinds = [expression['kind'] for expression in entry['expressions'].values()]
            several = {'train': 2, 'valid': 1, 'comp': 0}[split]
            assert kinds.count('absent') == several
            assert 'absent' not in kinds[: len(kinds) - several]  # last: the others keep their numbers


def test_annotations_are_palette_pngs_of_object_ids(root):
    video = make_clip(0, 'train', 4, (96, 144), 12)  # an order clip: some frames lack an object
    meta = json.loads((root / 'train' / 'meta.json').read_text())['videos'][video.video_id]['objects']
    for frame, label in enumerate(video.facts.labels):
        with Image.open(root / 'train' / 'Annotations' / video.video_id / f'{frame:05d}.png') as image:
            assert image.mode == 'P'
            np.testing.assert_array_equal(np.array(image), label)
            np.testing.assert_array_equal(bytes(image.getpalette()), davis_palette())
        present = [object_id for object_id, entry in meta.items() if f'{frame:05d}' in entry['frames']]
        assert present == [str(value) for value in np.unique(label) if value]
    assert any(len(entry['frames']) < 12 for entry in meta.values())


def test_palette_starts_as_davis_does():
    colours = np.frombuffer(davis_palette(), np.uint8).reshape(256, 3)
    assert colours[:5].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert colours[255].tolist() == [224, 224, 192]


def test_pictures_are_jpegs_of_the_size_asked_for(root):
    with Image.open(root / 'comp' / 'JPEGImages' / 'comp_00001' / '00003.jpg') as image:
        assert (image.format, image.size) == ('JPEG', (144, 96))


def test_summary_holds_what_was_printed(root):
    summary = json.loads((root / 'synth_rvos.json').read_text())
    assert summary['seed'] == 0
    assert summary['size'] == [96, 144]
    assert set(summary['splits']) == {'train', 'valid', 'comp'}
    assert summary['splits']['train']['kinds']['absent'] == {'count': 20}
    for kind in ('spatial', 'motion', 'coherence', 'direction', 'order'):
        row = summary['splits']['train']['kinds'][kind]
        assert row['S_first'] == row['S_pair'] == 0.5
        assert row['count'] % 2 == 0
        assert 0 < row['ceiling_binary_64x96'] < 1


def test_data_do_not_depend_on_workers_or_other_splits(root, tmp_path):
    again = tmp_path / 'again'
    main(['--out', str(again), '--splits', 'comp', '--comp', '2', '--workers', '0', *SMALL])
    assert not (again / 'train').exists()
    files = sorted(path.relative_to(root) for path in (root / 'comp').rglob('*') if path.is_file())
    assert len(files) == 2 * 2 * 12 + 1
    for file in files:
        assert (again / file).read_bytes() == (root / file).read_bytes(), file


def test_an_existing_folder_is_never_touched(tmp_path):
    with pytest.raises(SystemExit, match='remove it or choose another --out'):
        main(['--out', str(tmp_path), '--train', '1'])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_is_written(tmp_path, layout):
    out = tmp_path / 'new'
    main(['--out', str(out), '--layout', layout, '--splits', 'valid', '--val', '1', '--workers', '0', *SMALL])
    summary = json.loads((out / 'synth_rvos.json').read_text())
    assert (summary['layout'], summary['splits']['valid']['clips']) == (layout, 1)
    assert len(list(out.rglob('*'))) > 5


def test_a_failed_run_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match='12 or more'):
        main(['--out', str(tmp_path / 'new'), '--train', '1', '--frames', '3', '--workers', '0'])
    assert list(tmp_path.iterdir()) == []


def test_a_split_of_no_clips_is_refused(tmp_path):
    with pytest.raises(SystemExit, match='--splits'):
        main(['--out', str(tmp_path / 'new'), '--comp', '0'])


@pytest.mark.parametrize('size', [('1', '1'), ('100000', '100000')])
def test_frames_that_no_scene_or_memory_fits_are_refused(tmp_path, size):
    with pytest.raises(SystemExit, match='--size: a side of a frame has 16 to 4096 pixels'):
        main(['--out', str(tmp_path / 'new'), '--size', *size])


def test_frame_step():
    assert frame_names(3, 5) == ['00000', '00005', '00010']
