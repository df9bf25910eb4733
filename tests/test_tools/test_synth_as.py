"""The six commands of docs/data.md, on one clip: the shipped model through every reader and protocol."""

import math
from pathlib import Path

import pytest
from tool_scripts import load_tool

from ifirvos_cli import synth, test

ROOT = Path(__file__).resolve().parents[2]
# Config -> layout of SynthRVOS, main figure.
COMMANDS = {
    'ref_youtube_vos': ('ref-youtube-vos', 'rvos/J&F'),
    'mevis': ('mevis', 'rvos/J&F'),
    'ref_davis17': ('ref-davis17', 'davis/J&F'),
    'a2d_sentences': ('a2d-sentences', 'a2d/mAP'),
    'jhmdb_sentences': ('jhmdb-sentences', 'jhmdb/mAP'),
    'refcoco': ('refcoco', 'refcoco/mIoU'),
}


@pytest.mark.slow
@pytest.mark.usefixtures('process_state')
def test_every_protocol_and_equal_figures_where_the_protocol_is_the_same(tmp_path):
    convert = load_tool('dataset_converters/refcoco_to_json.py', register=True)
    figures = {}
    for name, (layout, figure) in COMMANDS.items():
        data = str(tmp_path / layout)
        synth.main(['--out', data, '--layout', layout, '--splits', 'valid', '--val', '1', '--workers', '0'])
        if layout == 'refcoco':
            convert.main([data])
        config = str(ROOT / f'configs/ifirvos/synth_as/{name}.py')
        options = [f'data_root={data}', 'num_workers=0', 'persistent_workers=False']
        options = [f'test_dataloader.{"dataset." if "root" in option else ""}{option}' for option in options]
        arguments = [config, str(ROOT / 'weights/r18_synth.pth'), '--work-dir', str(tmp_path / 'work' / name)]
        figures[name] = test.run(test.parse_args([*arguments, '--cfg-options', *options]))
        assert 0 < figures[name][figure] <= 100
        assert all(math.isfinite(value) for value in figures[name].values())
    # MeViS has the same clips and sentences, and one about two objects more.
    kinds = {key for key in figures['ref_youtube_vos'] if key.endswith('/J&F') and key != 'rvos/J&F'}
    assert len(kinds) > 1
    assert {key: figures['mevis'][key] for key in kinds} == {key: figures['ref_youtube_vos'][key] for key in kinds}
    assert figures['mevis']['rvos/several/n'] == 1
    assert figures['mevis']['rvos/n'] == figures['ref_youtube_vos']['rvos/n'] + 1
