"""The command `ifirvos`: what answers without loading the package, and that it says what the package says."""

import contextlib
import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ifirvos_cli
from ifirvos.datasets.doctor import DATASET_KINDS
from ifirvos.errors import InputError
from ifirvos.inference.writers import SAVES
from ifirvos.synth import SPLITS
from ifirvos.synth.layouts import LAYOUTS
from ifirvos.training.launch import AMP
from ifirvos.webdemo.job import Limits
from ifirvos_cli import common, doctor, infer, models, synth, train, web

ROOT = Path(__file__).parents[2]
HEAVY = {'ifirvos', 'torch', 'mmengine', 'mmcv', 'mmdet', 'numpy', 'cv2', 'transformers', 'rich', 'yaml'}
# Runs the command in this process and says which of HEAVY it has imported.
PROBE = f"""
import sys
import ifirvos_cli
try:
    ifirvos_cli.main(sys.argv[1:])
finally:
    print('imported:', *sorted({HEAVY} & sys.modules.keys()))
"""
SCRIPTS = dict(
    infer='tools/infer.py',
    demo='tools/demo.py',
    train='tools/train.py',
    test='tools/test.py',
    synth='tools/dataset_converters/make_synth_rvos.py',
    doctor='tools/analysis_tools/dataset_doctor.py',
)


def probe(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-c', PROBE, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_help_lists_every_command_and_loads_nothing():
    done = probe('--help')
    assert done.returncode == 0
    for name, text in ifirvos_cli.COMMANDS.items():
        assert f'{name} ' in done.stdout
        assert text in done.stdout
    assert done.stdout.endswith('imported:\n')


@pytest.mark.parametrize('name', ifirvos_cli.COMMANDS)
def test_help_of_a_command_names_it_and_loads_nothing(name):
    done = probe(name, '--help')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'usage: ifirvos {name} ')
    assert done.stdout.endswith('imported:\n')


@pytest.mark.parametrize('line', ['infe', 'infer a.mp4', 'train a.py --amp fp8', 'doctor refcoc data'])
def test_a_wrong_argument_ends_with_2_before_anything_is_loaded(line):
    done = probe(*line.split())
    assert done.returncode == 2
    assert 'error: ' in done.stderr
    assert done.stdout.endswith('imported:\n')


@pytest.mark.parametrize(
    'line', ['infer none.mp4 x --out o', 'infer --manifest none.mp4 --out o', 'demo --video none.mp4']
)
def test_a_video_that_is_not_there_is_said_before_anything_is_loaded(line):
    done = probe(*line.split())
    assert done.stderr == "error: No such file or folder: 'none.mp4'\n"
    assert done.stdout.endswith('imported:\n')


@pytest.mark.parametrize('line', ['infer README.md x --out o --offline', 'web --offline', 'test a.py b.pth --offline'])
def test_the_network_is_forbidden_before_anything_is_imported(line):
    """Clients of the network read these variables when they are imported, which ``import ifirvos`` does."""
    code = (
        'import os, sys\n'
        'class Watch:\n'
        '    def find_spec(self, name, *_):\n'
        "        if name == 'ifirvos':\n"
        "            print(os.environ.get('HF_HUB_OFFLINE'), os.environ.get('IFIRVOS_OFFLINE'))\n"
        '            sys.exit(3)\n'
        'sys.meta_path.insert(0, Watch())\n'
        'import ifirvos_cli\n'
        'ifirvos_cli.main(sys.argv[1:])\n'
    )
    environment = {key: value for key, value in os.environ.items() if not key.endswith('_OFFLINE')}
    command = [sys.executable, '-c', code, *line.split()]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (3, '1 1\n'), done.stderr


@pytest.mark.parametrize(('name', 'script'), SCRIPTS.items())
def test_a_script_is_its_command(name, script):
    source = (ROOT / script).read_text()
    assert f'from ifirvos_cli.{name} import main' in source
    done = subprocess.run(
        [sys.executable, ROOT / script, '--help'], cwd='/', capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'usage: {Path(script).name} ')


def test_what_the_parsers_repeat_is_what_the_package_says():
    """The parsers cannot import it: that takes seconds."""
    assert set(infer.SAVES) == set(SAVES)
    assert train.AMP == AMP
    assert synth.SPLITS == SPLITS
    assert tuple(LAYOUTS) == synth.LAYOUTS
    assert tuple(DATASET_KINDS) == doctor.DATASETS
    assert {name: default for name, (default, _) in web.LIMITS.items()} == dataclasses.asdict(Limits())


def test_an_error_that_a_user_can_mend_is_one_line(capsys):
    def fail():
        raise InputError('clip.mp4 is empty: name another')

    assert common.run_command(fail) == 2
    assert capsys.readouterr().err == 'error: clip.mp4 is empty: name another\n'
    assert common.run_command(lambda: None) == 0
    assert common.run_command(lambda: 1) == 1


def test_an_error_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        common.run_command(lambda: 1 / 0)


def test_config_options_are_read_as_mmengine_reads_them(capsys):
    args = train.parse_args(['a.py', '--cfg-options', 'a.b=1', 'c=[1,2.5]', 'd=x=y'])
    assert args.cfg_options == {'a.b': 1, 'c': [1, 2.5], 'd': 'x=y'}
    assert train.parse_args(['b.py']).cfg_options == {}, 'nothing is left of the call before'
    with pytest.raises(SystemExit):
        train.parse_args(['a.py', '--cfg-options', 'a.b'])
    assert "takes KEY=VALUE, not 'a.b'" in capsys.readouterr().err


def test_models_are_listed_with_their_figures(capsys):
    assert models.main([]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ['name', 'trained', 'on', 'weights', 'figures']
    row = next(row for row in rows if row.startswith('r18_synth '))
    assert ' SynthRVOS ' in row
    assert ' shipped ' in row
    assert any(row.startswith('r50_ytvos ') and 'none: train it' in row for row in rows)
    assert models.main(['r18_synth']) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ['name', 'r18_synth']
    assert models.main(['nope']) == 2
    assert "no model 'nope'; there are r18_synth, " in capsys.readouterr().err
    assert models.main(['r18_synt']) == 2
    assert "no model 'r18_synt', perhaps r18_synth; there are " in capsys.readouterr().err


@pytest.mark.parametrize('command', ['--help', 'models'])
def test_the_docs_show_what_is_printed(command, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '100')
    with contextlib.suppress(SystemExit):
        ifirvos_cli.main([command])
    printed = capsys.readouterr().out.rstrip()
    page = (ROOT / 'docs/command.md').read_text()
    assert f'```\n$ ifirvos {command}\n{printed}\n```' in page, f'docs/command.md is to show:\n{printed}'


def test_a_tool_of_mmdet_that_does_not_exist(capsys):
    assert ifirvos_cli.main(['mmdet', 'print_config']) == 2
    assert "no tool 'print_config'; there are " in capsys.readouterr().err


@pytest.mark.parametrize(
    ('cfg', 'said'),
    [
        (dict(type='ConcatDataset', kinds=['attr']), "unexpected keyword argument 'kinds'.*--cfg-options$"),
        (
            dict(type='RefYouTubeVOSDataset', data_root='', kinds=1),
            "unexpected keyword argument 'kinds'.*--cfg-options$",
        ),
        (dict(type='TheirDataset'), 'TheirDataset is not in .*custom_imports$'),
    ],
)
def test_a_type_or_option_that_the_registry_does_not_know_is_one_line(cfg, said, capsys):
    from mmengine.registry import DefaultScope

    from ifirvos.registry import DATASETS

    with DefaultScope.overwrite_default_scope('mmdet'):
        assert common.reported(lambda: DATASETS.build(cfg), debug=False) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(said, line), line


def test_a_type_error_of_our_own_keeps_its_traceback():
    with pytest.raises(TypeError):
        common.reported(lambda: len(3), debug=False)


@pytest.mark.parametrize(
    ('cfg', 'said'),
    [
        (dict(batch_size=-1), 'batch_size should be a positive'),
        (dict(batch_size='x'), 'batch_size should be'),
        (dict(batch_size=1, num_workers=-1), 'num_workers option'),
        (dict(batch_size=1, sampler=dict(type='Nobodys')), 'Nobodys is not in'),
    ],
)
def test_a_value_that_torch_refuses_is_one_line(cfg, said, capsys):
    from mmengine.runner import Runner

    loader = dict(dict(dataset=[1, 2], sampler=dict(type='DefaultSampler')), **cfg)
    assert common.reported(lambda: Runner.build_dataloader(loader), debug=False) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(rf'^error: .*{said}.*mend the config or --cfg-options', line), line


def test_what_breaks_in_our_code_while_something_is_built_keeps_its_traceback(monkeypatch):
    from mmengine.registry import DefaultScope

    from ifirvos.datasets import RefYouTubeVOSDataset
    from ifirvos.registry import DATASETS

    source = compile('def broken(*args, **kwargs):\n    return len(3)', 'base.py', 'exec')
    exec(source, space := {'__name__': 'ifirvos.datasets.base_rvos_dataset'})
    monkeypatch.setattr(RefYouTubeVOSDataset, 'full_init', space['broken'])
    with DefaultScope.overwrite_default_scope('mmdet'), pytest.raises(TypeError):
        common.reported(lambda: DATASETS.build(dict(type='RefYouTubeVOSDataset', data_root='')), debug=False)
