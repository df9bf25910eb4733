"""mmdet's 2-D Swin with official weights: numbers, names, what is refused."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from ifirvos.errors import CheckpointError
from ifirvos.models import ImageSwinTransformer

sys.path.insert(0, str(Path(__file__).parents[1] / 'parity'))
import recomputed

TINY = dict(embed_dims=8, depths=(2, 2), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1), window_size=3)


def official_weights() -> dict[str, Tensor]:
    """Of a Swin with TINY's sizes, under the names of its own repository, large enough for every channel to matter."""
    torch.manual_seed(0)
    shapes = {'patch_embed.proj.weight': (8, 3, 4, 4), 'patch_embed.proj.bias': (8,)}

    def norm(name: str, width: int) -> None:
        shapes.update({f'{name}.weight': (width,), f'{name}.bias': (width,)})

    norm('patch_embed.norm', 8)
    for stage, (width, heads) in enumerate([(8, 1), (16, 2)]):
        for block in (f'layers.{stage}.blocks.{i}' for i in range(2)):
            norm(f'{block}.norm1', width)
            norm(f'{block}.norm2', width)
            shapes[f'{block}.attn.relative_position_bias_table'] = (25, heads)
            for name, into, out in [('attn.qkv', 1, 3), ('attn.proj', 1, 1), ('mlp.fc1', 1, 4), ('mlp.fc2', 4, 1)]:
                shapes[f'{block}.{name}.weight'] = (out * width, into * width)
                shapes[f'{block}.{name}.bias'] = (out * width,)
        norm(f'norm{stage}', width)
    norm('layers.0.downsample.norm', 32)
    shapes['layers.0.downsample.reduction.weight'] = (16, 32)
    return {name: torch.randn(shape, dtype=torch.float64) * 0.3 for name, shape in shapes.items()}


def test_maps_with_official_weights_equal_recomputed_ones():
    """Odd sizes, one map smaller than a window; every channel of a merged square has a weight of its own."""
    weights, frames = official_weights(), torch.randn(2, 3, 20, 28, dtype=torch.float64)
    model = ImageSwinTransformer(**TINY).double().eval()
    model.load_state_dict(ImageSwinTransformer.from_official(weights), strict=True)
    expected = recomputed.swin(frames, weights, (1, 2), (3, 3))
    for found, maps in zip(model(frames), expected, strict=True):
        assert_close(found, maps, rtol=0, atol=1e-10)


@pytest.fixture
def official_file(tmp_path) -> Path:
    """As a classifier's checkpoint holds them: a norm and a head of its own, constants, none of the maps' norms."""
    weights = {name: t for name, t in official_weights().items() if not name.startswith('norm')}
    weights |= {'norm.weight': torch.ones(16), 'norm.bias': torch.zeros(16), 'head.weight': torch.zeros(4, 16)}
    weights['layers.0.blocks.1.attn_mask'] = torch.zeros(4, 9, 9)
    weights['layers.0.blocks.1.attn.relative_position_index'] = torch.zeros(9, 9, dtype=torch.long)
    torch.save(dict(model=weights), tmp_path / 'swin.pth')
    return tmp_path / 'swin.pth'


def pretrained(file: Path, **overrides) -> nn.Module:
    model = ImageSwinTransformer(**{**TINY, **overrides}, init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    model.init_weights()
    return model


def test_a_classifiers_file_fills_everything_but_the_norms_of_the_maps(official_file):
    state = pretrained(official_file).state_dict()
    expected = ImageSwinTransformer.from_official(official_weights())
    for name, tensor in state.items():
        if name.startswith('norm'):
            assert torch.equal(tensor, torch.full_like(tensor, float(name.endswith('weight'))))
        else:
            assert torch.equal(tensor, expected[name].float())


def test_files_that_do_not_fit_are_refused(official_file, tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth'):
        pretrained(tmp_path / 'none.pth')
    with pytest.raises(CheckpointError, match=r'swin.pth does not fit .* missing'):
        pretrained(official_file, depths=(2, 3))
    torch.save({'layers.0.blocks.0.norm1.weight': torch.ones(8)}, official_file)
    with pytest.raises(CheckpointError, match='no 2-D patch_embed'):
        pretrained(official_file)


def test_constants_stay_out_of_the_state_dict():
    model = ImageSwinTransformer(**TINY)
    assert not [name for name in model.state_dict() if 'index' in name]
    assert model.stages[0].blocks[0].attn.w_msa.relative_position_index.shape == (9, 9)
    assert model.train(False) is model
