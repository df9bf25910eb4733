"""Which parameter is trained at which rate, by the shipped recipes."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from ifirvos.registry import MODELS
from ifirvos.testing import shrink

CONFIGS = Path(__file__).parents[2] / 'configs'
# config: rate of the rest, of the backbone, of the text encoder (None: frozen)
RATES = {
    'ifirvos/r50_refcoco_pretrain.py': (5e-5, 1e-5, 1e-5),
    'ifirvos/r50_ytvos.py': (5e-5, 1e-5, None),
    'ifirvos/r50_ytvos_joint.py': (5e-5, 1e-5, None),
    'ifirvos/r50_a2d.py': (5e-5, 1e-5, None),
    'referformer/r50_refcoco_pretrain.py': (1e-4, 5e-5, 1e-5),
    'referformer/r50_ytvos.py': (1e-4, 5e-5, None),
    'referformer/r50_ytvos_joint.py': (1e-4, 5e-5, None),
    'referformer/r50_a2d.py': (1e-4, 5e-5, None),
}


def part_of(name: str) -> int:
    return 1 if name.startswith('backbone.') else 2 if name.startswith('text_encoder.') else 0


def build(config: str) -> tuple[nn.Module, dict[str, dict]]:
    """The model, and the group of every parameter in the optimiser."""
    init_default_scope('mmdet')
    cfg = shrink(CONFIGS / config)
    cfg.model.backbone.depth = 50  # Bottlenecks, with the names of the real one
    cfg.model.neck.in_channels = [64, 128, 256]
    cfg.model.pixel_decoder.in_channels[0] = 32
    model = MODELS.build(cfg.model)
    model.train()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    return model, {names[id(parameter)]: group for group in groups for parameter in group['params']}


@pytest.mark.parametrize('config', RATES)
def test_rates(config):
    model, groups = build(config)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert groups.keys() == trained, 'the optimiser holds what is trained, and nothing that is frozen'
    for name, group in groups.items():
        assert group['lr'] == pytest.approx(RATES[config][part_of(name)]), name
        assert group['weight_decay'] == 5e-4, f'{name}: as in the reference, norms and biases decay too'
    parts = {part_of(name) for name in groups}
    assert parts == ({0, 1} if RATES[config][2] is None else {0, 1, 2})


def test_stem_first_stage_and_norms_of_the_backbone_are_frozen():
    """As the reference: FrozenBatchNorm2d, and gradients for layer2 to layer4 only (models/backbone.py there)."""
    model, groups = build('ifirvos/r50_refcoco_pretrain.py')
    backbone = {name.removeprefix('backbone.') for name in groups if part_of(name) == 1}
    assert {name.split('.')[0] for name in backbone} == {'layer2', 'layer3', 'layer4'}
    norms = [name for name, module in model.backbone.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(name.startswith(f'{norm}.') for name in backbone for norm in norms)
    assert not any(module.training for module in model.backbone.modules() if isinstance(module, nn.BatchNorm2d))
    convolutions = {n for n, module in model.backbone.named_modules() if isinstance(module, nn.Conv2d)}
    expected = {f'{name}.weight' for name in convolutions if name.startswith(('layer2', 'layer3', 'layer4'))}
    assert backbone == expected


@pytest.mark.parametrize('config', ['ifirvos/r50_refcoco_pretrain.py', 'ifirvos/r50_ytvos.py'])
def test_a_frozen_text_encoder_is_not_moved_by_weight_decay(config):
    model, _ = build(config)
    optim_wrapper = build_optim_wrapper(model, Config.fromfile(CONFIGS / config).optim_wrapper)
    before = [parameter.clone() for parameter in model.text_encoder.parameters()]
    optim_wrapper.update_params(sum(p.square().sum() for p in model.parameters() if p.requires_grad))
    moved = [not torch.equal(a, b) for a, b in zip(before, model.text_encoder.parameters(), strict=True)]
    assert any(moved) is (config == 'ifirvos/r50_refcoco_pretrain.py')


SCHEDULES = {  # epochs, milestones, T, clips a GPU
    'ifirvos/r50_refcoco_pretrain.py': (10, [6, 8], None, 2),
    'ifirvos/r50_ytvos.py': (6, [3, 5], 6, 1),
    'ifirvos/r50_ytvos_joint.py': (12, [8, 10], 6, 1),
    'ifirvos/r50_a2d.py': (6, [3, 5], 6, 1),
    'referformer/r50_refcoco_pretrain.py': (12, [8, 10], None, 2),
    'referformer/r50_ytvos.py': (6, [3, 5], 5, 1),
    'referformer/r50_ytvos_joint.py': (12, [8, 10], 5, 1),
    'referformer/r50_a2d.py': (6, [3, 5], 1, 2),
}

ON_32_GPUS = {'referformer/r50_refcoco_pretrain.py', 'referformer/r50_ytvos_joint.py'}  # its maintainer's answers


def samplers(node) -> list[dict]:
    if isinstance(node, dict):
        found = [node] if node.get('type') in ('RVOSClipSample', 'PseudoVideo') else []
        return found + [sampler for child in node.values() for sampler in samplers(child)]
    return [sampler for child in node for sampler in samplers(child)] if isinstance(node, list) else []


@pytest.mark.parametrize('config', SCHEDULES)
def test_schedules(config):
    cfg = Config.fromfile(CONFIGS / config)
    epochs, milestones, num_frames, batch_size = SCHEDULES[config]
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler[0].milestones) == (epochs, milestones)
    assert cfg.param_scheduler[0].gamma == 0.1
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=0.1, norm_type=2)
    assert cfg.train_dataloader.batch_size == batch_size
    gpus = 32 if config in ON_32_GPUS else 8
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch_size, 'of the published runs'
    drawn = [sampler for sampler in samplers(cfg.train_dataloader.to_dict()) if sampler.get('mode') != 'all']
    assert {sampler['num_frames'] for sampler in drawn} == (set() if num_frames is None else {num_frames})


@pytest.mark.parametrize('config', [c for c, (*_, t, _) in SCHEDULES.items() if t is not None and 'joint' not in c])
def test_fine_tuning_starts_from_the_pre_trained_weights_of_the_same_family(config):
    """With the last epoch of the pre-training that the config names."""
    cfg = Config.fromfile(CONFIGS / config)
    stage = Path(cfg.load_from)
    family = stage.parts[1] if stage.parts[1] == 'referformer' else 'ifirvos'
    pretraining = Config.fromfile(CONFIGS / family / f'{stage.parent.name}.py')
    assert config.startswith(family)
    assert stage.name == f'epoch_{pretraining.train_cfg.max_epochs}.pth'
    init_default_scope('mmdet')
    stages = [MODELS.build(shrink(c).model).state_dict() for c in (pretraining, cfg)]
    assert stages[0].keys() == stages[1].keys()


def test_parameters_with_equal_options_share_a_group():
    """One call of the optimizer for all of them, in place of one for each."""
    for config, expected in (('ifirvos/r50_ytvos.py', 2), ('referformer/r50_refcoco_pretrain.py', 3)):
        _, groups = build(config)
        assert len({id(group) for group in groups.values()}) == expected


def test_groups_change_no_number():
    """The updated weights are bit for bit those of mmengine's groups, one for each parameter."""
    updated = []
    for constructor in ('GroupedOptimWrapperConstructor', 'DefaultOptimWrapperConstructor'):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(4, 4), nn.LayerNorm(4))
        cfg = dict(
            constructor=constructor,
            optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.5, fused=True),
            paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys={'2.weight': dict(lr_mult=0.5)}),
        )
        optimizer = build_optim_wrapper(model, cfg).optimizer
        assert len(optimizer.param_groups) == (3 if constructor.startswith('Grouped') else 8)
        for _ in range(3):
            for parameter in model.parameters():
                parameter.grad = torch.randn(parameter.shape)
            optimizer.step()
        updated.append([parameter.detach() for parameter in model.parameters()])
    for grouped, single in zip(*updated, strict=True):
        assert torch.equal(grouped, single)


def test_a_parameter_with_two_names_is_an_error_as_in_torch():
    """In one group torch would only warn, and step twice."""
    shared = nn.Linear(2, 2)
    model = nn.ModuleDict(dict(one=nn.Sequential(shared), other=nn.Sequential(shared)))
    cfg = dict(
        constructor='GroupedOptimWrapperConstructor',
        optimizer=dict(type='SGD', lr=1.0),
        paramwise_cfg=dict(bias_lr_mult=1.0),
    )
    with pytest.raises(ValueError, match='more than one parameter group'):
        build_optim_wrapper(model, cfg)
    cfg['paramwise_cfg']['bypass_duplicate'] = True
    assert len(build_optim_wrapper(model, cfg).optimizer.param_groups[0]['params']) == 1
