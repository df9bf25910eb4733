"""What is trained: variants, stages, seeds; and which variants can be compared."""

from pathlib import Path

import pytest
from ablation_configs import ROOT, stages, write_configs
from mmengine.config import Config

from ifirvos.errors import InputError, MissingFileError
from ifirvos.training.ablation.plan import apply, difference, plan


@pytest.fixture(scope='module')
def configs(tmp_path_factory) -> Path:
    return write_configs(tmp_path_factory.mktemp('plan'), 'nowhere')


def roots(node) -> list[str]:
    """All ``data_root`` of data sets inside nested dicts and lists."""
    if isinstance(node, dict):
        own = [node['data_root']] if 'data_root' in node else []
        return own + [root for child in node.values() for root in roots(child)]
    return [root for child in node for root in roots(child)] if isinstance(node, list) else []


def test_the_plan(configs, tmp_path):
    """Both stages of a variant have its model; seeds and data are set in every stage."""
    variants = [configs / 'second.py', configs / 'wo_ifi.py']
    runs = plan(variants, stages(configs), (1, 2), tmp_path, data_root='d', changes=dict(log_level='X'))
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


def test_a_variant_outside_that_inherits_from_the_package(tmp_path):
    """mmengine marks what it inherits with ``_scope_``."""
    mine = tmp_path / 'mine.py'
    mine.write_text("_base_ = 'ifirvos::ifirvos/r18_synth.py'\nmodel = dict(vli=dict(fusion='ffn'))\n")
    last = ROOT / 'configs/ifirvos/r18_synth.py'
    (run,) = plan([mine], [ROOT / 'configs/ifirvos/r18_synth_pretrain.py', last], [42], tmp_path)
    assert [stage.model.vli.fusion for stage in run.stages] == ['ffn', 'ffn']


def test_a_variant_with_a_module_of_its_own(tmp_path):
    """The stages before import what its model is made of."""
    mine = tmp_path / 'mine.py'
    mine.write_text(
        "_base_ = 'ifirvos::ifirvos/r18_synth.py'\n"
        "custom_imports = dict(imports=['ifirvos', 'colorsys'], allow_failed_imports=False)\n"
        "model = dict(decoder=dict(layer_cfg=dict(ifi_cfg=dict(_delete_=True, type='Mine'))))\n"
    )
    first = tmp_path / 'first.py'
    first.write_text(
        "_base_ = 'ifirvos::ifirvos/r18_synth_pretrain.py'\ncustom_imports = dict(imports=['ifirvos', 'stat'])\n"
    )
    (run,) = plan([mine], [first, ROOT / 'configs/ifirvos/r18_synth.py'], [42], tmp_path)
    assert [stage.custom_imports.imports for stage in run.stages] == [
        ['ifirvos', 'stat', 'colorsys'],
        ['ifirvos', 'colorsys'],
    ]
    for stage in run.stages:
        assert stage.model.decoder.layer_cfg.ifi_cfg.type == 'Mine'


def test_shorter_stages(configs, tmp_path):
    """Each stage has its own number of steps; the warm-up stays, the fall of the rate moves with the end."""
    folder = ROOT / 'configs/ifirvos'
    both = [folder / 'r18_synth_pretrain.py', folder / 'r18_synth.py']
    (run,) = plan([folder / 'ablations_synth/wo_ifi.py'], both, [42], tmp_path, steps=(1000, 1800))
    for stage, steps in zip(run.stages, (1000, 1800), strict=True):
        assert stage.train_cfg.max_iters == stage.train_cfg.val_interval == steps
        assert [(s.begin, s.end) for s in stage.param_scheduler] == [(0, 100), (steps * 6 // 10, steps)]
    epochs = [folder / f'{name}.py' for name in ('r50_refcoco_pretrain', 'r50_ytvos')]
    with pytest.raises(InputError, match='counts epochs'):
        plan(epochs[1:], epochs, [42], tmp_path, steps=(1, 1))


def test_variants_that_cannot_be_compared(configs, tmp_path):
    def planned(*names: str):
        return plan([configs / f'{name}.py' for name in names], stages(configs), [42], tmp_path)

    with pytest.raises(InputError, match='more than its model: optim_wrapper'):
        planned('other_rate')
    with pytest.raises(InputError, match='both be called'):
        planned('wo_ifi', 'wo_ifi')
    with pytest.raises(MissingFileError, match='does not exist'):
        planned('none')


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
    apply(difference(old, new), old)
    assert old == new


def test_a_difference_that_an_earlier_stage_has_no_place_for():
    with pytest.raises(InputError, match="no 'vli'"):
        apply(difference(dict(vli=dict(a=1)), dict(vli=dict(a=2))), dict(vli=None))
