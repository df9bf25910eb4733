"""ablate.py and probe.py of tools/analysis_tools on two variants, two stages and two seeds of a tiny model."""

import csv
import importlib.util
import json
import sys
from copy import deepcopy
from pathlib import Path

import pytest
from mmengine.config import Config

from ifirvos.testing import shrink, write_demo_dataset

ROOT = Path(__file__).resolve().parents[2]


def load_tool(name: str):
    spec = importlib.util.spec_from_file_location(Path(name).stem, ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules[Path(name).stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


ablate = load_tool('analysis_tools/ablate')


@pytest.fixture(scope='module')
def configs(tmp_path_factory) -> Path:
    """first.py, second.py, and variants of the second: wo_ifi.py, other_rate.py."""
    folder = tmp_path_factory.mktemp('ablate')
    root = str(write_demo_dataset(folder / 'data', num_clips=5))  # these have every kind of sentence
    for name, stage in dict(first='r18_synth_pretrain', second='r18_synth').items():
        cfg = shrink(ROOT / f'configs/ifirvos/{stage}.py')
        ablate.move_data(cfg._cfg_dict, root)
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.update(num_workers=0, persistent_workers=False)
        cfg.train_dataloader.batch_size = 2
        cfg.train_cfg.update(max_iters=2, val_interval=10)
        cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
        cfg.default_hooks.checkpoint.interval = 1
        cfg.dump(str(folder / f'{name}.py'))
    changes = dict(
        wo_ifi='model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=None)))',
        other_rate='optim_wrapper = dict(optimizer=dict(lr=1.0))',
    )
    for name, change in changes.items():
        (folder / f'{name}.py').write_text(f"_base_ = './second.py'\n{change}\n")
    return folder


def roots(node) -> list[str]:
    """All ``data_root`` of data sets inside nested dicts and lists."""
    if isinstance(node, dict):
        own = [node['data_root']] if 'data_root' in node else []
        return own + [root for child in node.values() for root in roots(child)]
    return [root for child in node for root in roots(child)] if isinstance(node, list) else []


def arguments(configs: Path, *more: str, variants=('second', 'wo_ifi')) -> list[str]:
    paths = [str(configs / f'{name}.py') for name in variants]
    return [*paths, '--stages', str(configs / 'first.py'), str(configs / 'second.py'), *more]


def test_the_plan(configs, tmp_path):
    """Both stages of a variant have its model; seeds and data are set in every stage."""
    args = ablate.parse_args(
        arguments(configs, '--out', str(tmp_path), '--seeds', '1', '2', '--data-root', 'd', '--set', 'log_level=X')
    )
    runs = ablate.plan(args)
    assert [(run.variant, run.seed) for run in runs] == [('full', 1), ('wo_ifi', 1), ('full', 2), ('wo_ifi', 2)]
    for run in runs:
        for stage in run.stages:
            assert (stage.model.decoder.layer_cfg.ifi_cfg is None) == (run.variant == 'wo_ifi')
            assert (stage.randomness.seed, stage.log_level) == (run.seed, 'X')
            assert set(roots(stage.to_dict())) == {'d'}
    first, second = runs[1].stages
    assert first.train_dataloader.dataset.kinds == ['attr', 'spatial', 'relation', 'coherence'], (
        "the rest is the stage's own"
    )
    assert first.model.backbone.frozen_stages == -1
    assert second.model.backbone.frozen_stages == Config.fromfile(configs / 'second.py').model.backbone.frozen_stages


@pytest.mark.parametrize(('given', 'slots'), [('4,5,7', [['4', '5'], ['7', '4']]), (None, [['0', '1'], ['2', '0']])])
def test_only_the_gpus_that_were_given_are_used(monkeypatch, given, slots):
    """Their numbers, not those that CUDA gives them in this process."""
    monkeypatch.setattr('torch.cuda.device_count', lambda: 3)
    if given:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', given)
    else:
        monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    machine = ablate.Machine(jobs=2, gpus_per_job=2)
    assert [machine.slots.get() for _ in range(2)] == list(enumerate(slots))


def test_shorter_stages(configs, tmp_path):
    """Each stage has its own number of steps; the warm-up stays, the fall of the rate moves with the end."""
    variants = [str(ROOT / 'configs/ifirvos/ablations_synth/wo_ifi.py')]
    (run,) = ablate.plan(ablate.parse_args([*variants, '--out', str(tmp_path), '--steps', '1000', '1800']))
    assert ablate.steps(run.stages) == '1000+1800'
    for stage, steps in zip(run.stages, (1000, 1800), strict=True):
        assert stage.train_cfg.val_interval == steps
        assert [(s.begin, s.end) for s in stage.param_scheduler] == [(0, 100), (steps * 6 // 10, steps)]
    with pytest.raises(SystemExit):
        ablate.parse_args([*variants, '--out', str(tmp_path), '--steps', '1000'])
    epochs = [str(ROOT / f'configs/ifirvos/{name}.py') for name in ('r50_refcoco_pretrain', 'r50_ytvos')]
    r50 = [epochs[1], '--stages', *epochs, '--out', str(tmp_path), '--steps', '1', '1']
    with pytest.raises(SystemExit, match='counts epochs'):
        ablate.plan(ablate.parse_args(r50))


def pretend(run, iterations: int) -> None:
    """Leaves what a run of so many iterations in its last stage would."""
    for stage, cfg in enumerate(run.stages):
        cfg = deepcopy(cfg)
        cfg.load_from = 'the stage before'
        if stage == len(run.stages) - 1:
            cfg.train_cfg.max_iters = iterations
        run.work_dir(stage).mkdir(parents=True)
        cfg.dump(str(run.config(stage)))
    columns = 'video_id,exp_id,kind,J,F,oracle_J,reversal_IoU,shuffled_J,shuffled_F\n'
    run.probe.write_text(columns + 'v,0,attr,1,2,3,4,5,6\n')
    run.probe.with_suffix('.json').write_text('{"per_kind": null}')


def test_rows_that_were_trained_for_another_time_are_named(configs, tmp_path):
    """The table says what was done, not what is asked for now; and nothing is mixed in one folder."""
    args = ablate.parse_args(arguments(configs, '--out', str(tmp_path), '--seeds', '1', '2'))
    runs = ablate.plan(args)
    for run in runs:
        pretend(run, 2)
    ablate.refuse_other_configs(runs)
    assert 'NOT EQUAL' not in ablate.compare(runs, args)
    for left in tmp_path.rglob('*.py'):
        left.unlink()
    for run in runs:
        run.probe.unlink()
        for stage in range(2):
            run.work_dir(stage).rmdir()
        pretend(run, 900 if (run.variant, run.seed) == ('wo_ifi', 2) else 2)
    text = ablate.compare(runs, args)
    assert 'NOT EQUAL: the variants differ in their steps.' in text
    assert '2+2 / 2+900' in text
    with pytest.raises(SystemExit, match=r'wo_ifi/seed2/stage2\.py was trained with another train_cfg'):
        ablate.refuse_other_configs(runs)


def test_variants_that_cannot_be_compared(configs, tmp_path):
    with pytest.raises(SystemExit, match='more than its model: optim_wrapper'):
        ablate.plan(ablate.parse_args(arguments(configs, '--out', str(tmp_path), variants=['other_rate'])))
    with pytest.raises(SystemExit, match='both be called'):
        ablate.plan(ablate.parse_args(arguments(configs, '--out', str(tmp_path), variants=['wo_ifi', 'wo_ifi'])))
    with pytest.raises(SystemExit, match='does not exist'):
        ablate.plan(ablate.parse_args(arguments(configs, '--out', str(tmp_path), variants=['none'])))


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        (dict(a=1, b=dict(c=2, d=dict(e=3))), dict(a=1, b=dict(c=5, d=dict(e=3)))),
        (dict(a=dict(b=1)), dict(a=None)),
        (dict(a=None), dict(a=dict(b=1))),
        (dict(a=[1, 2], b=1), dict(a=[1], c=2)),
    ],
)
def test_a_difference_is_applied(old, new):
    ablate.apply(ablate.difference(old, new), old)
    assert old == new


def test_a_difference_that_an_earlier_stage_has_no_place_for():
    with pytest.raises(SystemExit, match="no 'vli'"):
        ablate.apply(ablate.difference(dict(vli=dict(a=1)), dict(vli=dict(a=2))), dict(vli=None))


@pytest.mark.slow
def test_train_stop_resume_and_compare(configs, tmp_path, monkeypatch, capsys):
    """Four runs of two stages; what is done is not done again."""
    out = tmp_path / 'out'
    args = arguments(configs, '--out', str(out), '--seeds', '1', '2', '--jobs', '2')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    assert ablate.main(args) == 0
    text = (out / 'table.md').read_text()
    assert text in capsys.readouterr().out
    assert 'NOT EQUAL' not in text
    assert '| full |' in text
    assert '2+2' in text
    assert '59.9' in text
    assert '57.1' in text
    assert 'IFI, with VLI' in text.split('Paired differences')[1]
    assert (out / 'chart.png').is_file()
    probed = list(csv.DictReader((out / 'wo_ifi/seed1/probe.csv').open()))
    assert {row['kind'] for row in probed} >= {'attr', 'spatial', 'attr_comp'}
    for row in probed:
        assert float(row['oracle_J']) >= float(row['J']) - 1e-9
        assert float(row['reversal_IoU']) == pytest.approx(100), 'nothing in this variant knows of time'
    about = json.loads((out / 'full/seed2/probe.json').read_text())
    assert (about['training_seed'], about['iterations']) == (2, 2)
    table = {(r['variant'], r['kind'], r['measure']): r for r in csv.DictReader((out / 'table.csv').open())}
    assert len(table['full', 'all', 'J&F']['seeds'].split()) == 2
    # Another call: only the missing run is carried out, from the stage that is missing.
    (out / 'full/seed2/probe.csv').unlink()
    for path in (out / 'full/seed2/stage2').iterdir():
        if path.suffix == '.pth' or path.name == 'last_checkpoint':
            path.unlink()
    called = []
    call = ablate.Machine.call
    monkeypatch.setattr(
        ablate.Machine, 'call', lambda self, command, *a: called.append(command[1].name) or call(self, command, *a)
    )
    assert ablate.main(args) == 0
    assert called == ['train.py', 'probe.py']
    assert (out / 'table.md').read_text() == text, 'the same seed gives the same figures'
    called.clear()
    assert ablate.main([*args, '--table-only']) == 0
    assert called == []


def test_a_run_that_fails_is_named_and_the_others_go_on(configs, tmp_path, monkeypatch, capsys):
    def call(self, command, log, slot):
        if 'wo_ifi' in str(log):
            raise RuntimeError('no space left')
        raise ablate.Interrupted if self.stopped else RuntimeError('nothing was trained')

    monkeypatch.setattr(ablate.Machine, 'call', call)
    assert ablate.main(arguments(configs, '--out', str(tmp_path))) == 1
    output = capsys.readouterr()
    assert 'wo_ifi, seed 42: no space left' in output.err
    assert 'No run is done yet.' in output.out
