"""The whole road, but for the network: a file as the official code writes it, a video, the command, the masks."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parents[1] / 'parity'))
import official
import official_files

from ifirvos.label_maps import read_palette_png

TEXT = 'the red circle'
SIZE = (128, 96)  # (W, H) of video and network input


@pytest.fixture(scope='module')
def world(tmp_path_factory) -> Path:
    """A folder of frames, a tokenizer of RoBERTa's size, and an official checkpoint, cut to two text layers."""
    folder = tmp_path_factory.mktemp('real')
    official_files.write_tokenizer(folder / 'tokenizer')
    noise = np.random.default_rng(0)
    (folder / 'frames').mkdir()
    for t in range(3):
        picture = cv2.resize(noise.integers(0, 255, (6, 8, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f'frames/{t:05d}.png'), picture)
    torch.save(official_files.checkpoint(official.state_dict(2), ddp=True), folder / 'official.pth')
    return folder


def expected_masks(world: Path) -> np.ndarray:
    """What ``mode='tensor'`` gives, by hand: the official rule for the query, and its last layer's masks."""
    model = official.load(2)
    frames = [cv2.imread(str(path))[..., ::-1] for path in sorted((world / 'frames').iterdir())]
    pixels = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]))
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(str(world / 'tokenizer'))(TEXT)['input_ids']
    _, (sample,) = official.batch('b')
    sample.set_metainfo(dict(text_tokens=dict(input_ids=ids, attention_mask=[1] * len(ids))))
    with torch.no_grad():
        out = model(((pixels - mean) / std)[None], [sample], mode='tensor')
    query = out['cls_logits'][-1, 0, ..., 0].sigmoid().mean(0).argmax()
    masks = F.interpolate(out['mask_logits'][-1, 0, :, query][None], SIZE[::-1], mode='bilinear', align_corners=False)
    return masks[0].sigmoid().numpy()


@pytest.mark.slow
def test_an_official_file_a_video_and_a_sentence_give_the_official_masks(world):
    out = world / 'results'
    command = [
        *(sys.executable, '-m', 'ifirvos_cli', 'infer', str(world / 'frames'), TEXT, '--out', str(out), '--offline'),
        *('--weights', str(world / 'official.pth'), '--text-encoder', str(world / 'tokenizer'), '--device', 'cpu'),
        *('--save', 'masks', '--cfg-options', 'model.text_encoder.config.num_hidden_layers=2'),
        f'test_dataloader.dataset.pipeline.1.transforms.1.scale={SIZE}'.replace(' ', ''),
    ]
    environment = {**os.environ, 'PYTHONPATH': str(official.ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'is a checkpoint of the official ReferFormer code (r50, trained on ytvos)' in done.stderr
    assert done.stdout == f'{out}/the-red-circle\n'
    found = np.stack([read_palette_png(path) > 0 for path in sorted(out.rglob('*.png'))])
    expected = expected_masks(world)
    clear = abs(expected - 0.5) > 1e-3
    assert (found == (expected > 0.5))[clear].all()
    assert clear.mean() > 0.99
    assert 0.02 < found.mean() < 0.98


def test_a_class_of_ones_own_that_is_not_imported_is_one_line(tmp_path):
    config = tmp_path / 'mine.py'
    config.write_text(
        f"_base_ = '{official.ROOT}/configs/ifirvos/r18_synth.py'\nmodel = dict(backbone=dict(type='MyNet'))\n"
    )
    from ifirvos import RVOSInferencer
    from ifirvos.errors import InputError

    with pytest.raises(InputError) as caught:
        RVOSInferencer(config, official.ROOT / 'weights/r18_synth.pth', device='cpu')
    message = str(caught.value)
    assert "no class 'MyNet' is registered" in message
    assert 'custom_imports' in message
    assert '--config' in message
    assert '\n' not in message


def test_a_module_that_is_not_there_is_one_line(tmp_path):
    config = tmp_path / 'mine.py'
    config.write_text(
        "custom_imports = dict(imports=['no_such_package_of_mine'], allow_failed_imports=False)\nmodel = dict()\n"
    )
    from ifirvos.config import load_config
    from ifirvos.errors import InputError

    said = r"imports what is not there \(No module named 'no_such_package_of_mine'\)\. Install it.*custom_imports"
    with pytest.raises(InputError, match=said):
        load_config(config)
