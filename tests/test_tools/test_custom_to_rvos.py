"""tools/dataset_converters/custom_to_rvos.py, and docs/own_data.md's example as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tool_scripts import load_tool

from ifirvos.label_maps import write_palette_png

ROOT = Path(__file__).parents[2]
custom_to_rvos = load_tool('dataset_converters/custom_to_rvos.py')


def write_masks(root: Path) -> None:
    for name in ('one', 'two'):
        (root / 'masks' / name).mkdir(parents=True)
        (root / 'frames' / name).mkdir(parents=True)
        for t in range(3):
            labels = np.zeros((16, 24), np.uint8)
            labels[2:8, 3 + t : 10 + t] = 1
            write_palette_png(root / 'masks' / name / f'{t}.png', labels)
            Image.fromarray(np.full((16, 24, 3), 50 * t, np.uint8)).save(root / 'frames' / name / f'{t}.jpg')


def test_converted_checked_and_told_what_is_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_masks(tmp_path)
    (tmp_path / 'a.csv').write_text('video,object,sentence\none,1,a box\none,1,the box that moves\n')
    arguments = ['masks', '--frames', 'frames', '--sentences', 'a.csv', '--out', 'out', '--val-share', '0.5']
    assert custom_to_rvos.main(arguments) == 0
    out = capsys.readouterr().out
    assert 'train: 1 videos' in out
    assert 'valid: 1 videos' in out
    assert 'fit for use' in out
    assert '1 objects have no sentence' in out
    assert 'finetune_custom.py --data-root out' in out
    assert json.loads((tmp_path / 'out/doctor.json').read_text())['ok']
    assert '--cfg-options' not in out
    assert custom_to_rvos.main(arguments) == 2
    assert 'another --out' in capsys.readouterr().err
    assert custom_to_rvos.main([*arguments[:-4], '--out', 'none', '--val-share', '0']) == 0
    out = capsys.readouterr().out
    assert 'no video is left for validation' in out
    assert f'--data-root none --cfg-options {custom_to_rvos.WITHOUT_VALIDATION}' in out


@pytest.mark.slow
def test_the_example_of_the_page(tmp_path):
    """Convert, fine-tune from the shipped weights, evaluate, use: the commands of docs/own_data.md."""
    mark = '<!-- run by tests/test_tools/test_custom_to_rvos.py -->\n'
    (block,) = re.findall(rf'{mark}```bash\n(.*?)```', (ROOT / 'docs/own_data.md').read_text(), re.DOTALL)
    for name in ('tools', 'configs', 'ifirvos', 'ifirvos_cli', 'weights'):
        (tmp_path / name).symlink_to(ROOT / name)
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    env = {**os.environ, 'PATH': path, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(['bash', '-ec', block], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    log = next((tmp_path / 'work_dirs/custom').glob('*/*.log')).read_text()
    assert 'Hand-over: ' in log
    assert log.count('rvos/J&F: ') == 2, 'after every epoch'
    assert len(list((tmp_path / 'work_dirs/custom').glob('best_*.pth'))) == 1
    (result,) = (tmp_path / 'work_dirs/custom/results').glob('*/result.json')
    assert len(json.loads(result.read_text())['frames']) == 12
