"""The commands of docs/training.md that try the recipes without their data, as they stand there."""

import os
import re
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from ifirvos.checkpoint import load_checkpoint
from ifirvos.evaluation.submission.files import check_submission
from ifirvos.testing import write_tiny_roberta

ROOT = Path(__file__).parents[2]


def commands() -> str:
    mark = '<!-- run by tests/test_training/test_training_docs.py -->\n'
    (block,) = re.findall(rf'{mark}```bash\n(.*?)```', (ROOT / 'docs/training.md').read_text(), re.DOTALL)
    return block


def test_a_tiny_roberta_is_read_like_the_real_one(tmp_path):
    from ifirvos.models import RobertaTextEncoder

    folder = write_tiny_roberta(tmp_path / 'roberta')
    encoder = RobertaTextEncoder(name=str(folder))
    encoder.eval()
    again = RobertaTextEncoder(name=str(folder))
    again.eval()
    tokens = encoder.tokenize(['the red star', 'the large blue circle on the left'])
    assert tokens['input_ids'].shape[0] == 2
    with torch.no_grad():
        assert torch.equal(encoder(tokens)['words'], again(tokens)['words']), 'the weights come from the folder'


@pytest.mark.slow
def test_both_stages(tmp_path):
    """Two processes on a CPU, the real ResNet-50: an epoch of pre-training, an epoch of fine-tuning, the zip."""
    for name in ('tools', 'configs', 'ifirvos'):
        (tmp_path / name).symlink_to(ROOT / name)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    env = {**os.environ, 'PATH': path, 'PORT': str(port), 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(['bash', '-ec', commands()], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    first, second = (load_checkpoint(tmp_path / f'work_dirs/try_{name}/epoch_1.pth') for name in ('pretrain', 'ytvos'))
    assert first['state_dict'].keys() == second['state_dict'].keys()
    frozen = 'text_encoder.model.encoder.layer.0.output.dense.weight'
    moved = 'decoder.layers.0.ifi.attn.in_proj_weight'
    assert torch.equal(first['state_dict'][frozen], second['state_dict'][frozen]), 'it started from there'
    assert not torch.equal(first['state_dict'][moved], second['state_dict'][moved])
    log = next((tmp_path / 'work_dirs/try_ytvos').glob('*/*.log')).read_text()
    assert 'Hand-over: ' in log
    assert 'rvos/J&F' in log, 'it was evaluated'
    (archive,) = (tmp_path / 'work_dirs/try_ytvos').glob('*/submission.zip')
    with zipfile.ZipFile(archive) as masks:
        names = [name.split('/') for name in masks.namelist() if name.endswith('.png')]
    expected = {}
    for _, video, expression, frame in names:
        expected.setdefault((video, expression), []).append(frame.removesuffix('.png'))
    assert {len(frames) for frames in expected.values()} == {12}
    assert list(check_submission(archive, expected)) == []
