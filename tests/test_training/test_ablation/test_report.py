"""The table says what was done."""

import json
from copy import deepcopy

import pytest
from ablation_configs import stages, write_configs

from ifirvos.errors import InputError
from ifirvos.training.ablation.plan import plan, refuse_other_configs
from ifirvos.training.ablation.report import compare, steps


@pytest.fixture(scope='module')
def configs(tmp_path_factory):
    return write_configs(tmp_path_factory.mktemp('report'), 'nowhere')


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
    about = dict(per_kind=None, iterations=iterations, class_weight=10.0)
    run.probe.with_suffix('.json').write_text(json.dumps(about))


def test_rows_that_were_trained_for_another_time_are_named(configs, tmp_path):
    """The table says what was done, not what is asked for now; and nothing is mixed in one folder."""
    runs = plan([configs / 'second.py', configs / 'wo_ifi.py'], stages(configs), (1, 2), tmp_path)
    for run in runs:
        pretend(run, 2)
    refuse_other_configs(runs)
    assert steps(runs[0].stages) == '2+2'
    assert 'NOT EQUAL' not in compare(runs, tmp_path)
    for left in tmp_path.rglob('*.py'):
        left.unlink()
    for run in runs:
        run.probe.unlink()
        for stage in range(2):
            run.work_dir(stage).rmdir()
        pretend(run, 900 if (run.variant, run.seed) == ('wo_ifi', 2) else 2)
    text = compare(runs, tmp_path)
    assert 'NOT EQUAL: the variants differ in their steps.' in text
    assert '2+2 / 2+900' in text
    with pytest.raises(InputError, match=r'wo_ifi/seed2/stage2\.py was trained with another train_cfg'):
        refuse_other_configs(runs)


def test_rows_alone_still_say_how_they_were_trained(configs, tmp_path):
    """docs/table4_rows keeps no configs."""
    runs = plan([configs / 'second.py', configs / 'wo_ifi.py'], stages(configs), [1], tmp_path)
    for run in runs:
        pretend(run, 2)
    assert '| 2+2 | 10 |' in compare(runs, tmp_path)
    for stage in range(2):
        runs[0].config(stage).unlink()
    text = compare(runs, tmp_path)
    assert '| …+2 | 10 |' in text
    assert 'NOT EQUAL' not in text, 'what is not known is not said to differ'


@pytest.mark.parametrize('other', [dict(iterations=3), dict(class_weight=2.0)])
def test_rows_alone_are_not_mixed_with_others(configs, tmp_path, other):
    (run,) = plan([configs / 'second.py'], stages(configs), [1], tmp_path)
    pretend(run, 2)
    for stage in range(2):
        run.config(stage).unlink()
    weight = run.stages[-1].model.bbox_head.loss_cls.loss_weight
    about = run.about() | dict(class_weight=weight)
    run.probe.with_suffix('.json').write_text(json.dumps(about))
    refuse_other_configs([run])
    run.probe.with_suffix('.json').write_text(json.dumps(about | other))
    with pytest.raises(InputError, match=rf'probe\.csv is of a run with another {next(iter(other))}'):
        refuse_other_configs([run])


def test_nothing_is_done_yet(configs, tmp_path):
    assert compare(plan([configs / 'second.py'], stages(configs), [1], tmp_path), tmp_path) is None
    assert not list(tmp_path.iterdir())
