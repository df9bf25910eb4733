"""docs/table4_rows: what reproduction.md says of seeds 43 and 44 is what its command makes of all J and F."""

import csv
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from tool_scripts import load_tool

from ifirvos.evaluation.ablation import paired_difference
from ifirvos.training.ablation.report import EFFECTS

ROOT = Path(__file__).resolve().parents[2]
ROWS = ROOT / 'docs/table4_rows'
VARIANTS = ('baseline', 'wo_vli', 'wo_ifi', 'full')


@pytest.fixture(scope='module')
def page() -> str:
    return (ROOT / 'docs/reproduction.md').read_text(encoding='utf-8')


@pytest.fixture(scope='module')
def made(page, tmp_path_factory) -> Path:
    """Run the page's command on a copy of the rows; return the copy."""
    ablate = load_tool('analysis_tools/ablate.py')
    (block,) = [block for block in page.split('```')[1::2] if '--table-only' in block]
    folder, command = re.search(r'J=(\S+)\n(.*)', block, re.DOTALL).groups()
    _, tool, *args = shlex.split(command.replace('$J', folder).replace('\\\n', ''))
    assert tool == 'tools/analysis_tools/ablate.py'
    out = tmp_path_factory.mktemp('table4') / 'rows'
    shutil.copytree(ROWS, out, ignore=shutil.ignore_patterns('table.*', 'chart.png'))
    args[args.index('--out') + 1] = str(out)
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        assert ablate.main(args) == 0
    finally:
        os.chdir(before)
    return out


@pytest.mark.parametrize('name', ['table.csv', 'table.md'])
def test_the_rows_give_the_committed_tables(made, name):
    assert (made / name).read_text() == (ROWS / name).read_text()


def test_the_page_has_their_numbers(made, page):
    table = (made / 'table.md').read_text()
    shown = page.split('**seeds 43 and 44**')[1].split('**Seed 42**')[0]
    for label, cells in (*((variant, 7) for variant in VARIANTS), *((effect, 8) for effect in EFFECTS)):
        found = rows(table, label)[-1][-cells:]  # by kind of sentence, and for the difference all kinds
        assert len(found) == cells
        (said,) = rows(shown, label)
        assert ' | '.join(found) in ' | '.join(said), label
    for label in VARIANTS:
        (said,), made_row = rows(shown, label), rows(table, label)[0]
        assert made_row[1] == said[3], 'J&F of all kinds'
        assert made_row[4].split()[0] == said[11], 'S'


def test_what_ifi_adds_with_vli_over_three_seeds(page):
    def of(variant: str) -> dict:
        return {
            seed: list(csv.DictReader((ROWS / f'{variant}/seed{seed}/probe.csv').read_text().splitlines()))
            for seed in (42, 43, 44)
        }

    (said,) = re.findall(r'Over the three seeds.*?IFI adds, with VLI, (.*?)\(the command', page, re.DOTALL)
    cells = paired_difference(of('full'), of('wo_ifi')).values()  # all kinds, then each in the order of the alphabet
    assert re.findall(r'-?[\d.]+ \[.*?\]', said) == [f'{c.mean:.1f} [{c.low:.1f}, {c.high:.1f}]' for c in cells]


def rows(text: str, label: str) -> list[list[str]]:
    """Return the cells of the table rows that have a cell ``label``."""
    cells = [
        [cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if line.startswith('|')
    ]
    return [row for row in cells if label in row]
