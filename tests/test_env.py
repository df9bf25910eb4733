import re
import runpy
import sys
from importlib import metadata

import pytest
import torch

from ifirvos import env


@pytest.fixture
def pretend_installed(monkeypatch):
    """Makes distributions appear with a version, or (None) disappear."""

    def pretend(**versions: str | None) -> None:
        versions = {name.replace('_', '-'): version for name, version in versions.items()}

        def version(name: str) -> str:
            found = versions[name] if name in versions else metadata_version(name)
            if found is None:
                raise metadata.PackageNotFoundError(name)
            return found

        metadata_version = metadata.version
        monkeypatch.setattr(env.metadata, 'version', version)

    return pretend


def test_command_reports_and_exits_with_0(monkeypatch, capsys):
    """``python -m ifirvos.env``, where everything else is imported already."""
    monkeypatch.delitem(sys.modules, 'ifirvos.env')
    with pytest.raises(SystemExit) as stop:
        runpy.run_module('ifirvos.env', run_name='__main__', alter_sys=True)
    out = capsys.readouterr().out
    assert stop.value.code == 0, out
    facts = dict(re.split(r'\s{2,}', line, maxsplit=1) for line in out.splitlines() if '  ' in line)
    assert facts['PyTorch'] == torch.__version__
    assert facts['transformers'] == metadata.version('transformers')
    assert facts['OpenMMLab line'].startswith(('onedl (', 'upstream ('))
    assert facts['mmcv operators'] in ('compiled', 'not compiled')
    assert out.endswith('Everything that ifirvos needs works.\n')


def test_missing_files_are_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr('ifirvos.inference.model_index.ROOT', tmp_path)
    (problem,) = env.collect().problems
    assert 'model-index.yml' in problem
    assert 'install ifirvos again' in problem


def test_both_lines_at_once_are_a_problem(pretend_installed, capsys):
    pretend_installed(mmcv='2.1.0', onedl_mmcv='2.3.6')
    assert env.main() == 1
    assert 'PROBLEM: Both OpenMMLab lines are installed' in capsys.readouterr().out


def test_missing_library_is_a_problem_that_names_the_command(pretend_installed):
    pretend_installed(av=None)
    assert env.collect().problems == ['Missing: av. Run pip install av.']


def test_two_opencv_builds_get_advice(pretend_installed):
    pretend_installed(opencv_python='4.12.0.88', opencv_python_headless='4.12.0.88')
    found = env.collect()
    assert 'opencv-python lies beside opencv-python-headless' in found.advice[0]
    assert not found.problems


def test_one_opencv_build_gets_none(pretend_installed):
    pretend_installed(opencv_python=None, opencv_python_headless='4.12.0.88')
    assert not any('opencv' in advice for advice in env.collect().advice)


@pytest.mark.parametrize(
    ('version', 'works'), [('4.44.2', False), ('4.45.0', True), ('5.20.2', True), ('6.0.0', False)]
)
def test_a_transformers_outside_the_bounds_of_the_metadata_gets_advice(pretend_installed, version, works):
    pretend_installed(transformers=version)
    assert any('transformers has to be' in advice for advice in env.collect().advice) != works


def test_gpu_without_kernel_gets_advice(monkeypatch):
    monkeypatch.setattr(env.torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(env, 'install', lambda: False)
    monkeypatch.setattr(env, '_run_deformable_attention', lambda device: None)
    assert any('tools/install_mmcv_ops.sh' in advice for advice in env.collect().advice)


def test_attention_that_fails_is_a_problem(monkeypatch):
    def fail(device):
        raise RuntimeError('no kernel image is available')

    monkeypatch.setattr(env, '_run_deformable_attention', fail)
    assert 'no kernel image is available' in env.collect().problems[0]
