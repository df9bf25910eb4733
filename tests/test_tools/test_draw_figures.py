"""The figures of the docs name classes that exist, and are drawn."""

import re
from pathlib import Path

from PIL import Image
from tool_scripts import load_tool

ROOT = Path(__file__).parents[2]
draw_figures = load_tool('draw_figures.py')
MMDET = {'ResNet', 'ChannelMapper'}


def test_figures(tmp_path):
    draw_figures.main(['--out', str(tmp_path)])
    for name in draw_figures.FIGURES:
        assert Image.open(tmp_path / f'{name}.png').size > (1000, 300)
        assert (ROOT / f'docs/images/{name}.png').is_file()
    sources = ''.join(path.read_text() for path in (ROOT / 'ifirvos/models').glob('*.py'))
    ours = draw_figures.NAMED - MMDET
    assert len(ours) >= 8
    assert [name for name in sorted(ours) if not re.search(rf'^class {name}\b', sources, re.M)] == []
