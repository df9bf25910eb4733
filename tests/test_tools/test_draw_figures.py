"""The figures of the docs name classes that exist, and are drawn."""

import importlib.util
import re
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location('draw_figures', ROOT / 'tools/draw_figures.py')
draw_figures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(draw_figures)
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
