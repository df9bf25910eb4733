"""Models as the Hub has them, against a local folder and a stand-in of its API; torch.hub."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from ifirvos import RVOSInferencer
from ifirvos.checkpoint import load_checkpoint
from ifirvos.errors import CheckpointError, InputError
from ifirvos.inference.hub import model_card
from ifirvos.inference.model_index import SHIPPED_MODEL

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def shipped():
    return RVOSInferencer(show_progress=False, device='cpu')


@pytest.fixture(scope='module')
def saved(shipped, tmp_path_factory):
    return shipped.save_pretrained(tmp_path_factory.mktemp('hub') / SHIPPED_MODEL)


def test_what_is_loaded_segments_as_what_was_saved(shipped, saved):
    again = RVOSInferencer.from_pretrained(saved, show_progress=False, device='cpu')
    assert again.model.state_dict().keys() == shipped.model.state_dict().keys()
    frames = np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3), np.uint8)
    (one,), (other,) = (inferencer(frames, 'the red star') for inferencer in (shipped, again))
    assert (one.masks == other.masks).all()
    assert (one.scores == other.scores).all()


def test_the_file_holds_weights_and_text_only(saved):
    checkpoint = load_checkpoint(saved / 'model.safetensors')
    assert re.search(r'^model ?= ?dict\(', checkpoint['meta']['config_text'], re.MULTILINE)
    assert sorted(path.name for path in saved.iterdir()) == ['README.md', 'config.json', 'model.safetensors']
    described = json.loads((saved / 'config.json').read_text())
    assert described['architectures'] == ['IFIRVOS']
    assert described['parameters'] == sum(t.numel() for t in checkpoint['state_dict'].values())


def test_a_damaged_file_is_refused(saved, tmp_path):
    data = (saved / 'model.safetensors').read_bytes()
    (tmp_path / 'model.safetensors').write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match='cannot be read safely|can be read safely'):
        RVOSInferencer.from_pretrained(tmp_path)


def test_the_card_says_what_the_metafile_says(saved):
    header, _, body = (saved / 'README.md').read_text().removeprefix('---\n').partition('\n---\n')
    data = yaml.safe_load(header)
    metafile = yaml.safe_load((ROOT / 'configs/ifirvos/metafile.yml').read_text())
    (model,) = (model for model in metafile['Models'] if model['Name'] == SHIPPED_MODEL)
    metrics = {k: v for result in model['Results'] for k, v in result['Metrics'].items()}
    (entry,) = data['model-index']
    found = {metric['type']: metric['value'] for result in entry['results'] for metric in result['metrics']}
    assert found == metrics
    assert data['license'] == 'apache-2.0'
    for metric, value in metrics.items():
        assert f'| {metric} | {value} |' in body
    assert 'Trained on: SynthRVOS' in body
    assert 'No results are written down' in model_card('someones-own', 'a/b')


def test_a_card_written_by_hand_stays(shipped, tmp_path):
    (tmp_path / 'README.md').write_text('mine')
    shipped.save_pretrained(tmp_path)
    assert (tmp_path / 'README.md').read_text() == 'mine'


class Api:
    """What huggingface_hub's HfApi is asked for; it keeps the upload in a folder."""

    def __init__(self, folder):
        self.folder, self.made = folder, []

    def create_repo(self, repo_id, *, private, exist_ok):
        self.made.append((repo_id, private, exist_ok))

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        import shutil

        shutil.copytree(folder_path, self.folder / repo_id)
        return f'https://huggingface.co/{repo_id}/commit/1'


def test_push(shipped, tmp_path):
    api = Api(tmp_path)
    assert shipped.push_to_hub('me/mine', 'r18_synth', api=api) == 'https://huggingface.co/me/mine/commit/1'
    assert api.made == [('me/mine', True, True)]
    assert "from_pretrained('me/mine')" in (tmp_path / 'me/mine/README.md').read_text()
    again = RVOSInferencer.from_pretrained(tmp_path / 'me/mine', show_progress=False, device='cpu')
    key = next(iter(again.model.state_dict()))
    assert torch.equal(again.model.state_dict()[key], shipped.model.state_dict()[key])


def test_the_calls_are_those_of_the_library():
    """Our stand-in takes what the real one takes."""
    import inspect

    from huggingface_hub import HfApi

    for name in ('create_repo', 'upload_folder'):
        ours = set(inspect.signature(getattr(Api, name)).parameters)
        assert ours <= set(inspect.signature(getattr(HfApi, name)).parameters)


@pytest.mark.parametrize('source', ['no/such/folder', 'nobody/nothing'])
def test_what_is_not_there_is_said(source, tmp_path):
    with pytest.raises(InputError, match=source):
        RVOSInferencer.from_pretrained(source, cache_dir=tmp_path, local_files_only=True)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(CheckpointError, match=r'no model\.safetensors'):
        RVOSInferencer.from_pretrained(tmp_path)


def test_torch_hub():
    inferencer = torch.hub.load(str(ROOT), 'ifirvos_r18_synth', source='local', device='cpu', show_progress=False)
    assert isinstance(inferencer, RVOSInferencer)
