"""The docs: commands exist, with their options, and are marked; every page and every message is found."""

import re
import shlex
from pathlib import Path

import pytest
from tool_scripts import load_tool

import ifirvos_cli

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    ROOT / 'weights/README.md',
    *sorted((ROOT / 'docs').glob('*.md')),
    *sorted((ROOT / 'configs').glob('*/README.md')),
]
# The mark before every block of commands; docs/conf.py makes it the caption of the block.
MARK = re.compile(r'<!-- (?:run by (?P<test>tests/\S+)|needs (?P<needs>[^>]+?)) -->\n\Z')
# What these words of a command take, its mark has to say.
NEEDS = {
    r'dist_train|dist_test|slurm_train|install_mmcv_ops|--gpus-per-job': r'GPU',
    r'\.mp4|\bVIDEO\b|videos\.csv': r'a video of yours|cluster',
    r'pip install(?! --no-deps)|make (test|demo|env)$|--model referformer|from_referformer': r'network',
    r'configs/(ifirvos|referformer)/(r50|r101|swin|video)': r'data set',
}
FENCE = re.compile(r'^```(?P<language>[\w{}-]*)[^\n]*\n(?P<body>.*?)^```', re.M | re.S)
INLINE = re.compile(r'`((?:python tools/|tools/|ifirvos |make )[^`\n]+)`')
COMMAND = re.compile(
    r'^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:python (?:tools/\S+|-m \S+)|tools/\S+\.(?:sh|py)'
    r'|\$? ?ifirvos \w|make \w|pytest\b|sbatch|pip install)'
)


def blocks(page: Path):
    """(commands, what stands before the block) of every block that holds commands."""
    text = page.read_text(encoding='utf-8')
    for fence in FENCE.finditer(text):
        if fence['language'] not in ('', 'bash', 'sh', 'console'):
            continue
        lines = re.sub(r'\\\n\s*', ' ', fence['body']).splitlines()
        commands = [line.strip() for line in lines if COMMAND.match(line.strip())]
        if commands:
            yield commands, text[: fence.start()]


def all_commands(page: Path) -> list[str]:
    inline = [] if page.name == 'messages.md' else INLINE.findall(page.read_text(encoding='utf-8'))
    return [command for found, _ in blocks(page) for command in found] + inline


def source_of(command: str) -> str | None:
    """The script behind a command; None where it is not ours. A thin script's is that of its sub-command."""
    words = command.split()
    words = words[next(i for i, word in enumerate(words) if '=' not in word) :]
    if words[0].removeprefix('.venv/bin/') == 'python':
        words = words[1:]
    if words[0] == '-m':
        return None
    if words[0] == 'ifirvos' and (words[1].startswith('-') or words[1].isupper()):
        return (ROOT / 'ifirvos_cli/__init__.py').read_text() + "'--help'"
    if words[0] == 'ifirvos':
        assert words[1] in ifirvos_cli.COMMANDS, command
        return (ROOT / 'ifirvos_cli' / f'{words[1]}.py').read_text()
    if not words[0].startswith('tools/') or '*' in words[0]:
        return None
    path = ROOT / words[0]
    assert path.is_file(), f'{command}: no {words[0]}'
    text = path.read_text()
    thin = re.search(r'from ifirvos_cli\.(\w+) import main\n', text)
    return (ROOT / 'ifirvos_cli' / f'{thin[1]}.py').read_text() if thin else text


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_exist_with_their_options(page):
    common = (ROOT / 'ifirvos_cli/common.py').read_text() + (ROOT / 'tools/train.py').read_text()
    for command in all_commands(page):
        if command.startswith('make '):
            target = command.split()[1]
            assert re.search(rf'^{re.escape(target)}:', (ROOT / 'Makefile').read_text(), re.M), command
            continue
        source = source_of(command)
        if source is None:
            continue
        shell = command.split()[0].endswith('.sh')
        for option in re.findall(r'(?<!\S)(--[a-z][\w-]*)', command.split(' #')[0]):
            if shell and option not in source:
                train = ''.join((ROOT / f'ifirvos_cli/{name}.py').read_text() for name in ('train', 'test', 'common'))
                assert f"'{option}'" in train, f'{command}: no {option}'
            elif not shell:
                parts = sorted((ROOT / 'tools/analysis_tools').glob('benchmark_*.py'))  # of benchmark.py
                beside = ''.join(part.read_text() for part in parts)
                assert f"'{option}'" in source + common + beside, f'{command}: no {option}'
        for config in re.findall(r'(?<![\w/])configs/[\w/]+\.py', command):
            assert (ROOT / config).is_file(), f'{command}: no {config}'


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_of_commands_says_what_runs_it_or_what_it_needs(page):
    for commands, before in blocks(page):
        mark = MARK.search(before)
        assert mark, f'{page.name}: put <!-- needs … --> or <!-- run by tests/… --> before {commands[0]!r}'
        if mark['test']:
            test = (ROOT / mark['test']).read_text()
            words = [word for command in commands for word in command.removeprefix('ifirvos ').split()]
            names = [Path(word).stem for word in words if word.startswith(('tools/', 'mmdet', 'misc/'))]
            assert page.name in test or (names and all(name in test for name in names)), mark['test']
            continue
        for command in commands:
            for words, need in NEEDS.items():
                if re.search(words, command):
                    assert re.search(need, mark['needs']), f'{page.name}: {command!r} needs {need!r}'


def test_the_site_shows_the_marks():
    conf = load_tool('../docs/conf.py')
    page = 'Text.\n<!-- needs 8 GPUs -->\n```bash\nmake test\n```\n<!-- run by tests/test_x.py -->\n```\nls\n```\n'
    assert conf.with_captions(page) == (
        'Text.\n```{code-block} bash\n:caption: Needs 8 GPUs.\nmake test\n```\n'
        '```{code-block} text\n:caption: Run by tests/test_x.py.\nls\n```\n'
    )


def test_lines_that_are_no_shell_are_not_taken_for_commands():
    assert not COMMAND.match('data/custom/')
    assert COMMAND.match('python tools/train.py X')
    assert COMMAND.match('PORT=1 tools/dist_train.sh X 8')
    assert shlex.split('a "b c"') == ['a', 'b c']


@pytest.mark.parametrize('page', sorted((ROOT / 'docs').glob('*.md')), ids=lambda page: page.name)
def test_every_page_opens_with_what_most_readers_came_for(page):
    text = page.read_text(encoding='utf-8')
    if text.startswith('```{include}'):
        return
    title, _, *lines = text.splitlines()
    assert title.startswith('# ')
    points = [line for line in lines[:8] if line.startswith('- ')]
    assert len(points) >= 3, f'{page.name} opens with {lines[:4]}'


def test_what_the_comparison_names_as_ours_exists():
    sources = '\n'.join(
        path.read_text() for folder in ('ifirvos', 'ifirvos_cli') for path in (ROOT / folder).rglob('*.py')
    )
    rows = re.findall(r'^\| [^|]+ \| ([^|]+) \|', (ROOT / 'docs/compare.md').read_text(), re.M)
    names = [name for cell in rows[2:] for name in re.findall(r'`([^`]+)`', cell)]
    assert len(names) > 20
    for name in names:
        command = name.split()
        if command[0] == 'make':
            continue  # test_commands_exist_with_their_options
        if command[0] == 'ifirvos':
            assert command[1] in ifirvos_cli.COMMANDS
        elif name.endswith(('.py', '.sh')):
            assert (ROOT / name).is_file() or list((ROOT / 'tools').rglob(name)), name
        elif name.startswith('--'):
            assert f"'{command[0]}'" in sources, name
        else:
            assert re.search(rf'(def|class) {name.split(".")[-1]}\b', sources), name


def test_every_page_is_in_the_contents():
    contents = set(re.findall(r'^(?:.* <)?([\w/*]+)>?$', (ROOT / 'docs/index.md').read_text(), re.M))
    named = {entry.rstrip('*') for entry in contents}
    assert {page.stem for page in (ROOT / 'docs').glob('*.md')} - {'index'} <= named


# ---------------------------------------------------------------------- messages
list_messages = load_tool('list_messages.py')


def test_every_message_is_on_the_page():
    written = (ROOT / 'docs/messages.md').read_text(encoding='utf-8')
    missing = [line for line in list_messages.page().splitlines() if line.startswith('- `') and line not in written]
    assert not missing, f'python tools/list_messages.py; missing: {missing[:3]}'


def test_what_counts_as_a_message(tmp_path):
    (tmp_path / 'ifirvos').mkdir()
    (tmp_path / 'ifirvos' / 'x.py').write_text(
        'name = 1\n'
        'def f(x):\n'
        "    raise ValueError(f'No such {name}: ' 'give another.')\n"
        "    parser.error('a webcam has no end')\n"
        "    text = f'{x} is wrong here'\n"
        '    raise InputError(text)\n'
        "    raise NotImplementedError('never shown')\n"
        '    raise KeyError(name)\n'
    )
    page = list_messages.page(tmp_path)
    assert re.findall(r'^- `(.*)`$', page, re.M) == [
        'No such …: give another.',
        'a webcam has no end',
        '… is wrong here',
    ]


def test_the_licences_are_of_what_is_needed():
    tool = load_tool('list_licences.py')
    page = (ROOT / 'docs/licences.md').read_text()
    for name in tool.asked_for('onedl'):
        assert f'| {name} |' in page, f'{name}: python tools/list_licences.py'
    assert 'libx264' in page
