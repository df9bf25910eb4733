"""The sdist builds, the wheel builds from it, and works in a fresh environment from an empty folder."""

import os
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Another project's config and what it makes of it.
INHERIT = """
from pathlib import Path
import ifirvos
assert 'site-packages' in ifirvos.__file__, ifirvos.__file__
from mmengine.config import Config
from mmengine.hub import get_config
from ifirvos.registry import MODELS
from ifirvos.testing import shrink

Path('mine.py').write_text("_base_ = 'ifirvos::ifirvos/r50_ytvos.py'\\nmodel = dict(num_queries=7)\\n")
model = MODELS.build(shrink('mine.py').model)
assert (type(model).__name__, model.num_queries) == ('IFIRVOS', 7)
assert get_config('ifirvos::ifirvos/r18_synth.py').model.type == 'IFIRVOS'
"""


def run(*command, **options) -> str:
    # With the checkout on PYTHONPATH, pip would take the wheel for installed.
    options.setdefault('env', {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'})
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope='module')
def sdist(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('sdist')
    code = f'from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})'
    run(sys.executable, '-c', code, cwd=ROOT)
    (path,) = folder.glob('*.tar.gz')
    return path


@pytest.fixture(scope='module')
def environment(sdist, tmp_path_factory) -> Path:
    """A fresh environment beside the one in use: its packages are found behind the wheel."""
    folder = tmp_path_factory.mktemp('wheel')
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / 'source', filter='data')
    (source,) = (folder / 'source').iterdir()
    pip = (sys.executable, '-m', 'pip', '--disable-pip-version-check')
    run(*pip, 'wheel', '--no-deps', '--no-build-isolation', '--no-index', '-w', folder, source)
    run(sys.executable, '-m', 'venv', '--without-pip', folder / 'venv')
    python = folder / 'venv/bin/python'
    packages = Path(run(python, '-c', "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # A line of a .pth file adds a path; that path's own .pth files, as of an editable install, are not read.
    (packages / 'beside.pth').write_text(sysconfig.get_path('purelib') + '\n')
    (wheel,) = folder.glob('*.whl')
    run(*pip, '--python', python, 'install', '--no-deps', '--no-index', wheel)
    return folder / 'venv'


@pytest.fixture
def outside(environment, tmp_path):
    """Runs a program of the environment in an empty folder."""
    clean = {key: value for key, value in os.environ.items() if key not in ('PYTHONPATH', 'PYTHONHOME')}
    return lambda name, *arguments: run(environment / 'bin' / name, *arguments, cwd=tmp_path, env=clean)


@pytest.mark.slow
def test_sdist_holds_what_the_tests_need(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    if (ROOT / '.git').exists():
        tracked = run('git', 'ls-files', '-z', cwd=ROOT).rstrip('\0').split('\0')
        hidden = ('.gitignore', '.pre-commit-config.yaml', '.readthedocs', '.ci/', '.github/')
        links = ('ifirvos/.mim/',)  # what they lead to is in the archive
        assert [path for path in tracked if path not in names and not path.startswith((*hidden, *links))] == []
    assert '.github/workflows/ci.yml' in names
    assert not [name for name in names if name.endswith('.pyc')]


@pytest.mark.slow
def test_another_project_inherits_a_config_and_builds_it(outside):
    said = outside('python', '-c', INHERIT)
    assert 'Failed' not in said, said
    assert 'not installed' not in said, said


@pytest.mark.slow
def test_the_command_segments_a_rendered_clip(outside, tmp_path):
    assert 'usage: ifirvos ' in outside('ifirvos', '--help')
    outside('ifirvos', 'demo', '--out', tmp_path / 'out')
    assert len(list((tmp_path / 'out/results').glob('*/masks/00000.png'))) == 3
    assert (tmp_path / 'out/contact_sheet.png').is_file()


@pytest.mark.slow
def test_env_finds_the_shipped_files_and_misses_them_when_they_are_gone(outside, environment):
    said = outside('python', '-m', 'ifirvos.env')
    (packages,) = environment.glob('lib/*/site-packages')
    mim = packages / 'ifirvos/.mim'
    assert f'{mim}\n' in said
    assert said.endswith('Everything that ifirvos needs works.\n')
    (mim / 'model-index.yml').rename(mim / 'away')
    try:
        with pytest.raises(AssertionError, match='install ifirvos again'):
            outside('python', '-m', 'ifirvos.env')
    finally:
        (mim / 'away').rename(mim / 'model-index.yml')


@pytest.mark.slow
def test_tools_of_mmdet_take_our_configs(outside):
    said = outside('ifirvos', 'mmdet', 'misc/print_config', 'ifirvos::referformer/r50_ytvos.py')
    assert "type='IFIRVOS'" in said
