"""The checkpoint converter: what it maps, what it drops, what it refuses, what it leaves on disk."""

import json
import sys
from pathlib import Path

import pytest
import torch

from ifirvos.models import VideoSwinTransformer

sys.path.insert(0, str(Path(__file__).parents[1] / 'parity'))
import official
from official import converter


@pytest.fixture(scope='module')
def source() -> dict[str, torch.Tensor]:
    """An official state dict with two text layers, aliases included."""
    return official.state_dict(text_layers=2)


# A few keys of an official checkpoint, small.
FEW = {
    'query_embed.weight': torch.ones(5, 4),
    'bbox_embed.0.layers.1.bias': torch.arange(4.0),
    'transformer.decoder.bbox_embed.0.layers.1.bias': torch.arange(4.0),
    'pixel_decoder.adapter_1.weight': torch.zeros(1),
    'transformer.decoder.layers.2.norm2.weight': torch.ones(3),
}
FEW_OURS = {
    'query_embedding.weight',
    'bbox_head.reg_branches.0.2.bias',
    'pixel_decoder.lateral_convs.0.conv.weight',
    'decoder.layers.2.norms.0.weight',  # self-attention's: the first norm of ours
}


def test_every_key_finds_its_place_in_the_model_of_the_config(source):
    converted, report = converter.convert(dict(model=source))
    assert report.keys() == source.keys()
    with torch.device('meta'):  # names and shapes; tests/parity compares the numbers
        model = official.build(text_layers=2)
    model.load_state_dict(converted, strict=True, assign=True)
    assert not [name for name, parameter in model.named_parameters() if parameter.is_meta]


def test_no_tensor_is_used_twice(source):
    converted, report = converter.convert(source)
    targets = [ours for ours in report.values() if not ours.startswith(('alias', 'dropped'))]
    assert len(set(targets)) == len(targets) == len(converted)


@pytest.mark.parametrize(
    'wrap',
    [
        lambda few: few,
        lambda few: dict(model=few, epoch=3),
        lambda few: dict(state_dict=few),
        lambda few: {f'module.{name}': tensor for name, tensor in few.items()},
        lambda few: dict(model={f'module.{name}': tensor for name, tensor in few.items()}),
    ],
    ids=['bare', 'model', 'state_dict', 'DDP', 'model of DDP'],
)
def test_wrappers_make_no_difference(wrap):
    assert converter.convert(wrap(FEW))[0].keys() == FEW_OURS


def test_aliases_and_old_buffers_are_reported_not_kept():
    few = {**FEW, 'text_encoder.embeddings.position_ids': torch.arange(514)[None]}
    converted, report = converter.convert(few)
    assert converted.keys() == FEW_OURS
    assert report['text_encoder.embeddings.position_ids'] == 'dropped (a constant)'
    assert report['transformer.decoder.bbox_embed.0.layers.1.bias'] == 'alias of bbox_embed.0.layers.1.bias'


def test_names_of_a_video_swin():
    """Named after ReferFormer's code, in which stages and what is between them lie side by side."""
    names = {
        'patch_embed.proj.weight': 'backbone.patch_embed.proj.weight',
        'layers.2.blocks.5.attn.relative_position_bias_table': (
            'backbone.layers.2.blocks.5.attn.relative_position_bias_table'
        ),
        'layers.3.blocks.1.mlp.fc2.bias': 'backbone.layers.3.blocks.1.mlp.fc2.bias',
        'downsamples.0.reduction.weight': 'backbone.layers.0.downsample.reduction.weight',
        'downsamples.2.norm.bias': 'backbone.layers.2.downsample.norm.bias',
        'layers.0.blocks.1.attn.relative_position_index': 'dropped (a constant)',
    }
    names = {f'backbone.0.body.{official}': ours for official, ours in names.items()}
    converted, report = converter.convert({name: torch.ones(1) for name in names})
    assert report == names
    with torch.device('meta'):
        backbone = VideoSwinTransformer()
    assert converted.keys() <= {f'backbone.{name}' for name in backbone.state_dict()}


@pytest.mark.parametrize('change', ['differs', 'stands alone'])
def test_an_alias_must_be_the_tensor_it_stands_for(change):
    few = dict(FEW)
    if change == 'differs':
        few['bbox_embed.0.layers.1.bias'] = few['bbox_embed.0.layers.1.bias'] + 1e-6
    else:
        del few['bbox_embed.0.layers.1.bias']
    with pytest.raises(converter.ConversionError, match=r'decoder\.bbox_embed.* differs from bbox_embed'):
        converter.convert(few)


class TestCommandLine:
    """``referformer_to_ifirvos.py SRC DST [--report]``."""

    def run(self, folder: Path, checkpoint: dict, *options: str) -> int:
        torch.save(checkpoint, folder / 'official.pth')
        return converter.main([str(folder / 'official.pth'), str(folder / 'ours.pth'), *options])

    def test_writes_a_checkpoint_and_a_report_of_every_key(self, tmp_path, capsys):
        report = tmp_path / 'report.json'
        assert self.run(tmp_path, dict(model=FEW), '--report', str(report)) == 0
        saved = torch.load(tmp_path / 'ours.pth', weights_only=True)
        assert saved['state_dict'].keys() == FEW_OURS
        assert saved['meta']['source'] == 'official.pth'
        assert json.loads(report.read_text()).keys() == FEW.keys()
        printed = capsys.readouterr().out
        assert all(f'{name} -> ' in printed for name in FEW)
        assert '4 tensors of 5 keys' in printed

    def test_an_unknown_key_is_named_and_nothing_is_written(self, tmp_path, capsys):
        assert self.run(tmp_path, {**FEW, 'backbone.1.surprise': torch.zeros(1)}) == 1
        assert 'backbone.1.surprise' in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ['official.pth']

    @pytest.mark.parametrize('content', [b'hello', b'', b'\x89PNG', [1], 3, dict(model=[1]), dict(model=dict(a=1))])
    def test_what_is_no_checkpoint_is_named(self, content, tmp_path, capsys):
        source = tmp_path / 'odd.pth'
        if isinstance(content, bytes):
            source.write_bytes(content)
        else:
            torch.save(content, source)
        assert converter.main([str(source), str(tmp_path / 'ours.pth')]) in (1, 2)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(('error: ', 'not converted: '))
        assert not (tmp_path / 'ours.pth').exists()

    def test_a_missing_source_is_named(self, tmp_path, capsys):
        assert converter.main([str(tmp_path / 'none.pth'), str(tmp_path / 'ours.pth')]) == 2
        assert 'No such weights file' in capsys.readouterr().err
        assert not list(tmp_path.iterdir())
