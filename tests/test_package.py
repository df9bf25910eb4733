"""The package as a whole: what importing it does, and that the files about installing it agree with one another."""

import ast
import configparser
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from ifirvos import compat, registry

ROOT = Path(__file__).parents[1]
PINS = {'onedl': 'requirements/constraints.txt', 'openmmlab': 'requirements/constraints-openmmlab.txt'}

WITHOUT_NETWORK = """
import socket

def refuse(*args, **kwargs):
    raise AssertionError(f'the network was asked for {args}')

socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
import ifirvos
"""


PYTHONS = ('3.10', '3.11', '3.12', '3.13')


def read_pins(path: str, python: str = '3.13') -> dict[str, str]:
    """Name -> pinned version on a Python."""
    pins = {}
    for line in (ROOT / path).read_text().splitlines():
        if line and not line.startswith('#'):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({'python_version': python}):
                assert requirement.name not in pins, f'{requirement.name} is pinned twice on Python {python}'
                (pins[requirement.name],) = (specifier.version for specifier in requirement.specifier)
    return pins


def read_requirements(*extras: str) -> list[Requirement]:
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    blocks = [config['options']['install_requires'], *(config['options.extras_require'][extra] for extra in extras)]
    lines = [line for block in blocks for line in block.splitlines() if line and not line.startswith('#')]
    return [Requirement(line) for line in lines]


def registered_classes() -> list[tuple[str, str]]:
    """(registry, name) of every class that a file of the package decorates with ``register_module``."""
    pattern = re.compile(r"^@(\w+)\.register_module\((?:name='(\w+)')?[^)]*\)\s+(?:@.*\s+)*class (\w+)", re.MULTILINE)
    sources = [path.read_text() for path in sorted((ROOT / 'ifirvos').rglob('*.py'))]
    return [(kind, alias or name) for source in sources for kind, alias, name in pattern.findall(source)]


def test_import_needs_no_network_and_prints_nothing():
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_NETWORK], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ''


@pytest.mark.parametrize(('kind', 'name'), registered_classes())
def test_importing_the_package_registers_every_class(kind, name):
    found = getattr(registry, kind).get(name)
    assert found is not None, f'{name} is registered only when its file is imported: import it in its subpackage'
    assert found.__module__.startswith('ifirvos.'), f'{name} is shadowed by {found.__module__}'


# Import name -> name of the distribution, where they differ.
DISTRIBUTIONS = {'PIL': 'pillow', 'cv2': 'opencv-python-headless', 'yaml': 'pyyaml'}
OPENMMLAB = {'mmengine', 'mmcv', 'mmdet'}  # of the extra of a line
# What is imported only where it is there or a message says to install it; not in the metadata.
ASKED_FOR = {'deepspeed', 'numba', 'sam2', 'supervision', 'torchvision'}
THROUGH_TORCH = {'tensorboard'}  # imported by torch.utils.tensorboard


def imported_distributions(module_level: bool) -> set[str]:
    """What the package and its command line import from elsewhere: at module level, or inside functions."""
    found = set()
    for path in [*(ROOT / 'ifirvos').rglob('*.py'), *(ROOT / 'ifirvos_cli').rglob('*.py')]:
        if '.mim' in path.parts:
            continue
        tree = ast.parse(path.read_text())
        inside = {id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
        for node in ast.walk(tree):
            if (id(node) in inside) == module_level:
                continue
            if isinstance(node, ast.Import):
                found |= {alias.name.partition('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.partition('.')[0])
    found -= sys.stdlib_module_names | {'ifirvos', 'ifirvos_cli'}
    return {DISTRIBUTIONS.get(name, name) for name in found}


def test_the_dependencies_of_the_metadata_are_what_the_code_imports():
    required = {requirement.name.lower() for requirement in read_requirements()}
    extras = {requirement.name.lower() for requirement in read_requirements('data', 'demo', 'onnx')}
    always, sometimes = imported_distributions(True), imported_distributions(False)
    # Files that import one of these as a whole are themselves imported by functions (page.py, deformable_kernel.py).
    assert always - OPENMMLAB - {'gradio'} - ASKED_FOR <= required
    assert sometimes - OPENMMLAB <= required | extras | ASKED_FOR
    assert extras - THROUGH_TORCH <= always | sometimes, 'nothing is asked for that nothing imports'


def test_everything_names_the_same_pythons():
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    named = re.findall(r'Python :: (3\.\d+)', config['metadata']['classifiers'])
    assert tuple(named) == PYTHONS
    assert config['options']['python_requires'] == f'>={PYTHONS[0]}'
    words = f'{PYTHONS[0]} to {PYTHONS[-1]}'
    for path in ('README.md', 'docs/install.md', 'requirements/constraints.txt', 'tools/setup_env.sh'):
        assert words in (ROOT / path).read_text(), path
    assert f'({PYTHONS[0]}'.replace('.', ', ') in (ROOT / 'tools/setup_env.sh').read_text()
    workflow = (ROOT / '.github/workflows/ci.yml').read_text()
    assert workflow.count(f"python: ['{PYTHONS[0]}', '{PYTHONS[-1]}']") == 2, 'tests and wheel: oldest and newest'


@pytest.mark.parametrize('python', PYTHONS)
@pytest.mark.parametrize('line', PINS)
def test_pins_satisfy_the_metadata(line, python):
    pins = {name.lower(): version for name, version in read_pins(PINS[line], python).items()}
    extras = (line, 'data') if line == 'openmmlab' else (line, 'data', 'onnx', 'dev')
    for requirement in read_requirements(*extras):
        assert pins[requirement.name.lower()] in requirement.specifier, requirement


def test_pins_of_the_web_page_satisfy_the_metadata_and_touch_nothing_else():
    base, web = (
        {name.lower(): version for name, version in read_pins(path).items()}
        for path in (PINS['onedl'], 'requirements/constraints-web.txt')
    )
    for requirement in read_requirements('demo'):
        assert {**base, **web}[requirement.name.lower()] in requirement.specifier, requirement
    assert base.keys() & web.keys() == {'pillow'}, 'Gradio takes no Pillow 13; all else is as in .venv'


@pytest.mark.parametrize('line', PINS)
def test_pins_hold_one_line_and_one_opencv(line):
    pins = read_pins(PINS[line])
    assert 'opencv-python' not in pins
    assert ('mmcv' in pins) != ('onedl-mmcv' in pins)
    assert Version(pins['setuptools']) < Version('81')


def test_both_lines_are_tested_with_the_same_torch():
    assert len({read_pins(path)['torch'] for path in PINS.values()}) == 1


def test_minimum_versions_are_those_of_the_upstream_extra():
    wanted = {r.name: r.specifier for r in read_requirements('openmmlab') if r.name in compat.MINIMUM_VERSIONS}
    assert wanted.keys() == compat.MINIMUM_VERSIONS.keys()
    for name, minimum in compat.MINIMUM_VERSIONS.items():
        assert f'>={minimum}' in str(wanted[name])


def test_operators_are_built_for_the_mmcv_that_is_installed():
    done = subprocess.run(
        [ROOT / 'tools' / 'install_mmcv_ops.sh', '--dry-run'],
        env={'PATH': '/usr/local/bin:/usr/bin:/bin', 'PYTHON': sys.executable, 'MAX_JOBS': '3'},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if 'no C++ compiler' in done.stderr or 'nvcc' in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    name = next(d for d in ('onedl-mmcv', 'mmcv') if any(d == x.metadata['Name'] for x in metadata.distributions()))
    build = next(command for command in done.stdout.splitlines() if 'MMCV_WITH_OPS' in command)
    assert f' MAX_JOBS=3 {sys.executable} -m pip install ' in build
    assert f'--no-build-isolation --no-binary {name} --no-cache-dir --no-deps' in build
    assert build.endswith(f' {name}=={metadata.version(name)}')
