"""Imports point downwards: what each part of the package may not import."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'ifirvos'
# The order of the design, top first; a part may import those below it, and of its own layer only itself, but for the
# pictures, which show what data sets and metrics hold, and the synthetic benchmark, which writes what they read.
ON_TOP = ('inference', 'visualization', 'webdemo')
CORE = ('models', 'datasets', 'evaluation')
GROUND = (
    'errors',
    'deferred_imports',
    'transformers_exports',
    'files',
    'parallel',
    'registry',
    'remembered',
    'config',
    'label_maps',
    'names',
    'structures',
    'checkpoint',
    'clip_score',
    'referformer_weights',
    'plain_config',
    'config_types',
    'allocation_limit',
    'allocator',
    'safe_names',
    'json_files',
    'frame_sizes',
    'run_lengths',
)
FORBIDDEN = {
    **{part: {*ON_TOP, *CORE} - {part} for part in CORE},
    'training': {'inference', 'visualization', 'webdemo'},
    'synth': {*ON_TOP, *CORE, 'training'},
    'video': {*ON_TOP, *CORE, 'training', 'synth'},
    **{part: {*ON_TOP, *CORE, 'training', 'synth', 'video'} for part in GROUND},
    'visualization': {'webdemo'},
    'inference': {'webdemo'},
}


def imported_parts(path: Path, package: Path = PACKAGE) -> set[str]:
    """The direct children of the package that a file imports, wherever in the file it does."""
    module = ('ifirvos', *path.relative_to(package).with_suffix('').parts)
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(module[: len(module) - node.level]) if node.level else ''
            source = '.'.join(filter(None, (base, node.module)))
            names += [source, *(f'{source}.{alias.name}' for alias in node.names)]
    return {name.split('.')[1] for name in names if name.startswith('ifirvos.')}


@pytest.mark.parametrize('part', FORBIDDEN)
def test_imports_point_downwards(part):
    files = sorted((PACKAGE / part).rglob('*.py')) or [PACKAGE / f'{part}.py']
    found = {path.relative_to(PACKAGE).as_posix(): imported_parts(path) & FORBIDDEN[part] for path in files}
    assert files[0].is_file()
    assert not {path: parts for path, parts in found.items() if parts}


def test_the_package_does_not_know_its_command_line():
    for path in PACKAGE.rglob('*.py'):
        if path.relative_to(PACKAGE).as_posix() != 'webdemo/__main__.py':  # a command itself
            assert 'ifirvos_cli' not in path.read_text(), path


def test_every_part_of_the_package_is_placed():
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == '.py' or (path / '__init__.py').is_file()}
    free = {'__init__', 'compat', 'version', 'env', 'testing', 'utils', 'webdemo'}  # these may import anything
    assert parts - free == FORBIDDEN.keys() & parts
    assert FORBIDDEN.keys() <= parts | {'plain_config'}


def test_every_way_to_import_is_seen(tmp_path):
    (tmp_path / 'models').mkdir()
    path = tmp_path / 'models' / 'a.py'
    path.write_text(
        'import ifirvos.video\nfrom ifirvos import synth\nfrom ..inference.writers import x\nfrom .. import training\n'
        'def f():\n    from ifirvos.webdemo import job\nfrom .b import y\nimport torch\n'
    )
    assert imported_parts(path, tmp_path) >= {'video', 'synth', 'inference', 'training', 'webdemo'}
    assert 'datasets' not in imported_parts(path, tmp_path)
