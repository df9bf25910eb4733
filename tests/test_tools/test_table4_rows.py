"""docs/table4_rows: what reproduction.md and README.md say of Table 4 is what the page's command makes of all rows."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from tool_scripts import load_tool

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
    return run(page, '--out docs/table4_rows', tmp_path_factory.mktemp('table4') / 'rows')


def run(page: str, which: str, out: Path) -> Path:
    """Run the command of the page that has ``which`` in it, on a copy of the rows in ``out``."""
    ablate = load_tool('analysis_tools/ablate.py')
    (block,) = [block for block in page.split('```')[1::2] if '--table-only' in block and which in block]
    command = block[block.index('python tools') :].replace('$J', 'configs/ifirvos/ablations_joint_synth')
    _, tool, *args = shlex.split(command.replace('\\\n', ''))
    assert tool == 'tools/analysis_tools/ablate.py'
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
    shown = page.split('**seeds 42 to 44**')[1].split('A run of seed 42 on one H100')[0]
    for label, cells in (*((variant, 7) for variant in VARIANTS), *((effect, 8) for effect in EFFECTS)):
        found = rows(table, label)[-1][-cells:]  # by kind of sentence, and for the difference all kinds
        assert len(found) == cells
        (said,) = rows(shown, label)
        assert ' | '.join(found) in ' | '.join(said), label
    for label in VARIANTS:
        (said,), made_row = rows(shown, label), rows(table, label)[0]
        assert made_row[1] == said[3], 'J&F of all kinds'
        assert made_row[4].split()[0] == said[11], 'S'


def test_the_text_has_their_numbers(made, page):
    table, readme = (made / 'table.md').read_text(), (ROOT / 'README.md').read_text(encoding='utf-8')
    said = page.split('A run of seed 42 on one H100')[1].split('The command trains')[0]
    for effect, column, texts in (
        ('IFI, with VLI', 1, (said, readme)),
        ('IFI, with VLI', 5, (said, readme)),
        ('IFI, without VLI', 1, (said, readme)),
        ('IFI, without VLI', 5, (readme,)),
        ('IFI, without VLI', 8, (said,)),
    ):
        number = rows(table, effect)[-1][column].strip('*').split(' (')[0]
        assert all(number in text for text in texts), (effect, number)
    means = [rows(table, variant)[0][1].split()[0] for variant in VARIANTS]
    (found,) = re.findall(
        r'J&F (\S+) without modules, with \S+ interaction (\S+), with \S+ interaction (\S+), with both (\S+) ', readme
    )
    assert list(found) == means


@pytest.fixture(scope='module')
def variants(page, tmp_path_factory) -> str:
    """The table of the page's command for single seeds."""
    return (run(page, '--out work_dirs/rows', tmp_path_factory.mktemp('variants') / 'rows') / 'table.md').read_text()


@pytest.mark.parametrize(
    ('variant', 'heading'), [('paper_ifi', '**IFI as in the paper**'), ('temporal', '**IFI with the time')]
)
def test_variants_of_ifi(page, variants, variant, heading):
    said = page.split(heading)[1].split('\n\n')[0]
    own, without, full = (rows(variants, name) for name in (variant, 'wo_ifi', 'full'))
    assert own[0][1] in said
    assert rows(variants, f'{variant}, less full')[-1][1].strip('*') in said
    assert rows(variants, f'{variant}, less wo_ifi')[-1][1].strip('*') in said
    for row in (without, full):
        assert row[0][1].split()[0] in said
    for row in (own, without, full):
        assert row[1][4].split()[0] in said, 'motion'


def test_the_readme_has_ifi_as_in_the_paper(variants):
    paper, without = (rows(variants, name) for name in ('paper_ifi', 'wo_ifi'))
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    more = rows(variants, 'paper_ifi, less wo_ifi')[-1][1].strip('*')
    assert f'{paper[0][1].split()[0]} beside {without[0][1].split()[0]}, {more} more' in readme


def rows(text: str, label: str) -> list[list[str]]:
    """Return the cells of the table rows that have a cell ``label``."""
    cells = [
        [cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if line.startswith('|')
    ]
    return [row for row in cells if label in row]
