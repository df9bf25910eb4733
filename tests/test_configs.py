"""Every shipped config: it loads, its model runs when shrunk, its data pipelines give samples, and an ablation changes
what it says and nothing else."""

import os
import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from ifirvos.checkpoint import load_checkpoint, load_strictly
from ifirvos.inference.model_index import list_models
from ifirvos.registry import DATASETS, FUNCTIONS, HOOKS, METRICS, MODELS, TRANSFORMS
from ifirvos.structures import flatten_samples, inputs_indices
from ifirvos.testing import demo_rvos_inputs, shrink, write_demo_dataset
from ifirvos.training.launch import default_work_dir

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs'
FILES = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob('*.py'))
LEAVES = [name for name in FILES if not name.startswith('_base_')]


@pytest.fixture(autouse=True)
def _scope_and_seed():
    init_default_scope('mmdet')
    torch.manual_seed(0)
    np.random.seed(0)  # a clip that loses its object is replaced by any other, also by one whose sentence fits nothing


@cache
def loaded(name: str) -> Config:
    """To read."""
    return Config.fromfile(CONFIGS / name)


def load(name: str) -> Config:
    """To change."""
    return deepcopy(loaded(name))


def distinct_models() -> list[str]:
    """A config for every model: schedules and data sets of the same one need no test of it each."""
    first = {}
    for name in LEAVES:
        first.setdefault(str(shrink(loaded(name)).model), name)  # two sizes of a backbone shrink to one
    return list(first.values())


def build(name: str) -> torch.nn.Module:
    model = MODELS.build(shrink(loaded(name)).model)
    model.init_weights()
    return model


def ifi_of(model: torch.nn.Module) -> bool:
    return model.decoder.layers[0].ifi is not None


def takes_clips(model: torch.nn.Module) -> bool:
    return getattr(model.backbone, 'takes_clips', False)


def lewv_of(model: torch.nn.Module) -> bool:
    return model.vli is not None and model.vli.lewv is not None


def batch_for(model: torch.nn.Module, training: bool = False, **kwargs) -> dict:
    return model.data_preprocessor(demo_rvos_inputs(**kwargs), training)


@pytest.mark.parametrize('name', FILES)
def test_every_file_loads(name):
    assert len(load(name)) > 0


# ---------------------------------------------------------------- models
DISTINCT = distinct_models()


@pytest.mark.parametrize('name', DISTINCT)
def test_loss_reaches_every_trained_parameter(name):
    """Two clips of different sizes and sentence lengths, one of them without the object in its first frame. A parameter
    without a gradient stops distributed training."""
    model = build(name)
    model.train()
    losses = model(**batch_for(model, True, num_clips=2, sizes=[(64, 96), (56, 80)], absent=[(1, 0)]), mode='loss')
    assert {key.removeprefix('d0.') for key in losses if 'loss' in key} == {
        'loss_cls',
        'loss_bbox',
        'loss_iou',
        'loss_mask',
        'loss_dice',
    }
    assert all(loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    trained = {key: p.grad for key, p in model.named_parameters() if p.requires_grad}
    assert [key for key, grad in trained.items() if grad is None or not grad.isfinite().all()] == []
    for part, on in {
        'text_encoder.': not loaded(name).model.text_encoder.get('frozen', False),
        'vli.': model.vli is not None and (lewv_of(model) or not loaded(name).model.frozen_trunk),
        'decoder.layers.0.ifi.': ifi_of(model),
        'text_projection.': True,
        'pixel_decoder.': not loaded(name).model.frozen_trunk,
    }.items():
        assert any(grad.any() for key, grad in trained.items() if key.startswith(part)) == on, part


@pytest.mark.parametrize('name', DISTINCT)
def test_shapes_of_outputs_and_predictions(name):
    model = build(name)
    model.eval()
    batch = batch_for(model, num_clips=2, num_frames=3, sizes=(64, 96), original_scale=2.25)
    batch_size, frames, queries, layers = 2, 3, loaded(name).model.num_queries, len(model.decoder.layers)
    with torch.no_grad():
        outputs = model(**batch, mode='tensor')
        clips = model(**batch, mode='predict')
    assert outputs['cls_logits'].shape == (layers, batch_size, frames, queries, 1)
    assert outputs['boxes'].shape == (layers, batch_size, frames, queries, 4)
    stride = model.bbox_head.mask_head.stride
    mask_size = (64 // stride, 96 // stride)
    assert outputs['mask_logits'].shape == (layers, batch_size, frames, queries, *mask_size)
    for frame in flatten_samples(clips):
        predicted = frame.pred_track_instances
        assert (tuple(predicted.masks.shape), predicted.masks.dtype) == ((1, 144, 216), torch.bool)
        assert predicted.bboxes.shape == (1, 4)
        assert predicted.scores.shape == (1,)
    assert all(0 <= clip.query_index < queries for clip in clips)


@pytest.mark.parametrize('name', DISTINCT)
def test_frames_see_one_another_where_a_module_lets_them(name):
    """Another picture in frame 1: with IFI, LEwV or a backbone for clips the queries of frame 0 change, without all of
    them not in a single bit."""
    model = build(name).double()
    model.eval()
    if lewv_of(model):  # at first the text is too small to tell much; much larger, the words of one frame alone count
        model.vli.lewv.pool.weight.data *= 30
    batch = batch_for(model)
    inputs = batch['inputs'].double()
    changed = inputs.clone()
    changed[:, 1] = torch.randn_like(changed[:, 1])
    with torch.no_grad():
        before, after = (
            model.forward_transformer(model.extract_feat(x), batch['data_samples'])['hidden_states']
            for x in (inputs, changed)
        )
    assert not torch.equal(before[-1, 1], after[-1, 1])
    difference = (before[-1, 0] - after[-1, 0]).abs().max()
    gated = 'from_referformer' in name or name.endswith('warm_start_synth/warm.py')  # by gates that start at zero
    connected = takes_clips(model) or (not gated and (ifi_of(model) or lewv_of(model)))
    assert (difference > 1e-6) if connected else (difference == 0)


# ---------------------------------------------------------------- what a config changes
def difference(old: dict, new: dict, prefix: str = '') -> dict:
    """Dotted key -> the new value (Ellipsis: gone), where two configs differ; lists, and dicts of another type, are
    compared whole."""
    found = {}
    for key in old.keys() | new.keys():
        before, after = old.get(key, ...), new.get(key, ...)
        if isinstance(before, dict) and isinstance(after, dict) and before.get('type') == after.get('type'):
            found.update(difference(before, after, f'{prefix}{key}.'))
        elif before != after:
            found[prefix + key] = after
    return found


IFI, VLI = 'model.decoder.layer_cfg.ifi_cfg', 'model.vli'
REFERFORMER_COSTS = [
    dict(type='ClipFocalLossCost', weight=2.0),
    dict(type='ClipBBoxL1Cost', weight=5.0),
    dict(type='ClipIoUCost', weight=2.0),
    dict(type='ClipMaskFocalLossCost', weight=2.0),
    dict(type='DiceCost', pred_act=True, eps=1.0, weight=5.0),
]
# What the leaves of a backbone change in those of ResNet-50; the type comes with everything else of the dict.
BACKBONES = {
    'r101': {'model.backbone.depth': 101, 'model.backbone.init_cfg.checkpoint': 'torchvision://resnet101'},
    'swin_t': ('ImageSwinTransformer', 96, (2, 2, 6, 2), (3, 6, 12, 24), 0.2),
    'swin_l': ('ImageSwinTransformer', 192, (2, 2, 18, 2), (6, 12, 24, 48), 0.3),
    'video_swin_t': ('VideoSwinTransformer', 96, (2, 2, 6, 2), (3, 6, 12, 24), 0.2),
    'video_swin_s': ('VideoSwinTransformer', 96, (2, 2, 18, 2), (3, 6, 12, 24), 0.2),
    'video_swin_b': ('VideoSwinTransformer', 128, (2, 2, 18, 2), (4, 8, 16, 32), 0.2),
}
PROTOCOL = load('_base_/datasets/referformer_protocol.py').keys()
DIFFERENCES = {
    ('ifirvos/r50_ytvos.py', 'ifirvos/ablations/baseline.py'): {VLI: None, IFI: None},
    ('ifirvos/r50_ytvos.py', 'ifirvos/ablations/wo_ifi.py'): {IFI: None},
    ('ifirvos/r50_ytvos.py', 'ifirvos/ablations/wo_vli.py'): {VLI: None},
    ('ifirvos/r50_ytvos.py', 'ifirvos/ablations/attn_ffn.py'): {f'{VLI}.fusion': 'ffn'},
    ('ifirvos/r50_ytvos.py', 'ifirvos/ablations/dynamic_text.py'): {f'{VLI}.text': 'dynamic'},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/baseline.py'): {VLI: None, IFI: None},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/wo_ifi.py'): {IFI: None},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/wo_vli.py'): {VLI: None},
    ('ifirvos/r18_synth_joint.py', 'ifirvos/ablations_joint_synth/baseline.py'): {VLI: None, IFI: None},
    ('ifirvos/r18_synth_joint.py', 'ifirvos/ablations_joint_synth/wo_ifi.py'): {IFI: None},
    ('ifirvos/r18_synth_joint.py', 'ifirvos/ablations_joint_synth/wo_vli.py'): {VLI: None},
    ('ifirvos/r18_synth_joint.py', 'ifirvos/ablations_joint_synth/paper_ifi.py'): {
        f'{IFI}.box_pos': False,
        f'{IFI}.query_pos': False,
    },
    ('ifirvos/r18_synth_joint.py', 'ifirvos/ablations_joint_synth/temporal.py'): {f'{IFI}.temporal_pos': 'learned'},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/attn_ffn.py'): {f'{VLI}.fusion': 'ffn'},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/dynamic_text.py'): {f'{VLI}.text': 'dynamic'},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/lewv_only.py'): {f'{VLI}.vewl': None},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/vewl_only.py'): {f'{VLI}.lewv': None},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/temporal.py'): {f'{IFI}.temporal_pos': 'learned'},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/referformer.py'): {f'{VLI}.lewv': None, IFI: None},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/ifi_gate.py'): {f'{IFI}.gate': True},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/text_gate.py'): {f'{VLI}.lewv.text_gate': True},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/literal_lewv.py'): {f'{VLI}.lewv.post_norm': False},
    ('ifirvos/r18_synth.py', 'ifirvos/ablations_synth/paper_ifi.py'): {
        f'{IFI}.box_pos': False,
        f'{IFI}.query_pos': False,
    },
    ('ifirvos/r50_ytvos.py', 'referformer/r50_ytvos.py'): {
        f'{VLI}.lewv': None,
        IFI: None,
        f'{VLI}.vewl.out_proj_init': 'torch',
        'model.positional_encoding.padding_encoding': 'reference',
        'default_hooks.hand_over.drop': [r'bbox_head[.]cls_branches[.]'],
        'model.bbox_head.loss_mask.loss_weight': 2.0,
        'model.bbox_head.loss_dice.loss_weight': 5.0,
        'model.train_cfg.assigner.match_costs': REFERFORMER_COSTS,
        'optim_wrapper.optimizer.lr': 1e-4,
        'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult': 0.5,
        'optim_wrapper.paramwise_cfg.custom_keys.text_encoder.lr_mult': 0.1,
        'load_from': 'work_dirs/referformer/r50_refcoco_pretrain/epoch_12.pth',
        'num_frames': 5,  # and in the pipelines
        'train_dataloader.dataset.key_frame_interval': 5,
    },
}


@pytest.mark.parametrize(('base', 'name'), DIFFERENCES, ids=[name for _, name in DIFFERENCES])
def test_a_variant_changes_what_it_says_and_nothing_else(base, name):
    found = difference(loaded(base).to_dict(), loaded(name).to_dict())
    pipelines = {key for key in found if key.endswith('pipeline')}
    protocol = set(PROTOCOL) & found.keys()  # ReferFormer's steps, which tests/parity/test_protocol.py looks at
    assert bool(protocol) == bool(pipelines) == ('num_frames' in found)
    found = {key: value for key, value in found.items() if key not in pipelines | protocol}
    assert found == DIFFERENCES[base, name]


WITH_BACKBONE = [
    (family, backbone, path.stem.removeprefix(f'{backbone}_'))
    for family in ('ifirvos', 'referformer')
    for backbone in BACKBONES
    for path in sorted((CONFIGS / family).glob(f'{backbone}_*.py'))
    if 'from_referformer' not in path.stem  # starts elsewhere and has gates: tests/test_models/test_from_referformer.py
]


def test_all_tasks_of_the_zoo_have_all_backbones():
    everywhere = {'refcoco_pretrain', 'ytvos', 'ytvos_joint'}
    for family in ('ifirvos', 'referformer'):
        for backbone in BACKBONES:
            published = {'a2d', 'jhmdb'} if backbone.startswith('video') else set()
            tasks = {task for other, name, task in WITH_BACKBONE if (other, name) == (family, backbone)}
            assert tasks - {'davis17'} == everywhere | published, (family, backbone)


@pytest.mark.parametrize(('family', 'backbone', 'task'), WITH_BACKBONE)
def test_a_backbone_changes_itself_and_nothing_else(family, backbone, task):
    other, ours = (loaded(f'{family}/{name}_{task}.py').to_dict() for name in ('r50', backbone))
    found = difference(other, ours)
    assert found.pop('with_backbone') is not None
    expected = BACKBONES[backbone]
    if isinstance(expected, tuple):
        kind, width, depths, heads, drop_path = expected
        body = found.pop('model.backbone')
        assert body.pop('init_cfg')['checkpoint'].startswith('data/pretrained/swin_')
        sizes = dict(embed_dims=width, depths=depths, num_heads=heads, drop_path_rate=drop_path)
        assert body == dict(type=kind, **sizes) | ({'window_size': 7} if kind.startswith('Image') else {})
        expected = {
            'model.neck.in_channels': [2 * width, 4 * width, 8 * width],
            'model.pixel_decoder.in_channels': [width, 256, 256, 256],
        }
    if task in ('ytvos', 'a2d'):
        expected = expected | {'load_from': other['load_from'].replace('r50', backbone)}
    if family == 'referformer' and task in ('a2d', 'jhmdb'):  # a backbone that sees all T frames gets them
        assert found.pop('model.cut_to_key_frames') is True
        assert found.pop('num_frames') == 5
        found = {key: value for key, value in found.items() if not key.endswith('pipeline')}
    assert found == expected


def test_the_temporal_model_is_the_small_one_with_the_time_in_ifi():
    """What differs beside the model is what it is trained on."""
    found = difference(loaded('ifirvos/r18_synth.py').to_dict(), loaded('ifirvos/r18_synth_temporal.py').to_dict())
    of_model = {key: value for key, value in found.items() if key.startswith('model.')}
    assert of_model == {f'{IFI}.temporal_pos': 'learned'}
    assert not any(key.startswith(('val_', 'test_')) for key in found)


@pytest.mark.parametrize('name', [name for name in LEAVES if '/synth_as/' in name])
def test_every_protocol_gets_the_small_model_as_it_was_trained(name):
    found = difference(loaded('ifirvos/r18_synth.py').model.to_dict(), loaded(name).model.to_dict())
    of_training = {'frozen_trunk', 'bbox_head.loss_cls.loss_weight'}
    assert {key for key in found if not key.startswith('test_cfg')} == of_training


def test_no_ablation_is_left_out():
    compared = {name for _, name in DIFFERENCES}
    assert [name for name in LEAVES if '/ablations' in name and name not in compared] == []


@pytest.mark.parametrize(
    ('name', 'new'),
    [
        ('ifirvos/r18_synth.py', set()),
        ('ifirvos/r18_synth_temporal.py', {'time_projection'}),
    ],
)
def test_stage_two_of_the_small_model_adds_only_its_extensions_to_stage_one(name, new):
    first, second = build('ifirvos/r18_synth_pretrain.py').state_dict(), build(name).state_dict()
    assert first.keys() <= second.keys()
    assert {key.split('.')[4] for key in second.keys() - first.keys()} == new
    assert all(second[key].shape == tensor.shape for key, tensor in first.items())


STARTED = {name: start for name in LEAVES if (start := loaded(name).get('load_from')) and '/ablations' not in name}


@pytest.mark.parametrize('name', [name for name, start in STARTED.items() if not start.startswith('work_dirs/')])
def test_a_config_starts_from_a_file_of_the_repository_or_a_name_of_the_zoo(name):
    start = STARTED[name]
    if '/' in start:
        cfg = load(name)
        model, checkpoint = MODELS.build(cfg.model), load_checkpoint(ROOT / start)
        hand_over = cfg.default_hooks.get('hand_over', {})
        for key in list(checkpoint['state_dict']):
            if any(re.match(pattern, key) for pattern in hand_over.get('drop', ())):
                del checkpoint['state_dict'][key]
        assert checkpoint['state_dict']
        for pattern in hand_over.get('allow_missing', ()):  # what a stage adds
            new = {key: tensor for key, tensor in model.state_dict().items() if re.match(pattern, key)}
            assert not new.keys() & checkpoint['state_dict'].keys()
            checkpoint['state_dict'].update(new)
        load_strictly(model, checkpoint, start, name)
    else:
        assert start in list_models()


@pytest.mark.parametrize('name', [name for name, start in STARTED.items() if start.startswith('work_dirs/')])
def test_a_config_starts_from_what_another_leaves(name):
    """An ablation does not: it is told by tools/analysis_tools/ablate.py, or by hand."""
    cfg = load(name)
    folder, checkpoint = os.path.split(cfg.load_from)
    (maker,) = [other for other in LEAVES if default_work_dir(Path('configs', other)) == folder]
    loop = loaded(maker).train_cfg
    assert checkpoint == (f'iter_{loop.max_iters}.pth' if 'max_iters' in loop else f'epoch_{loop.max_epochs}.pth')
    given, wanted = build(maker).state_dict(), build(name).state_dict()
    allowed = cfg.default_hooks.hand_over.allow_missing
    assert given.keys() <= wanted.keys()
    assert [key for key in wanted.keys() - given.keys() if not any(re.match(p, key) for p in allowed)] == []
    assert all(tensor.shape == wanted[key].shape for key, tensor in given.items())


# ---------------------------------------------------------------- numbers
def test_sentences_of_your_own_are_evaluated_as_they_are_trained():
    """And as ``infer`` reads them: RoBERTa tells capitals from small letters. Verbatim is the reference's protocol."""
    for name in ('finetune_custom', 'finetune_custom_synth'):
        cfg = Config.fromfile(ROOT / f'configs/ifirvos/{name}.py')
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            assert not loader.dataset.get('verbatim', False)


def test_numbers_of_the_paper():
    """Section 4.2; the R50's channels are its own."""
    cfg = load('ifirvos/r50_ytvos.py')
    model, head = cfg.model, cfg.model.bbox_head
    assert (model.num_queries, model.num_feature_levels) == (5, 4)
    assert (model.encoder.num_layers, model.decoder.num_layers) == (4, 4)
    assert (model.backbone.depth, model.neck.in_channels) == (50, [512, 1024, 2048])
    decoder = model.decoder.layer_cfg
    widths = [model.encoder.layer_cfg.ffn_cfg, decoder.ffn_cfg, decoder.ifi_cfg, model.pixel_decoder]
    assert [part.feedforward_channels for part in widths] == [2048] * 4
    assert [part.embed_dims for part in (*widths, model.vli, head)] == [256] * 6
    assert decoder.ifi_cfg.temporal_pos is None
    assert (model.vli.fusion, model.vli.text) == ('multiply', 'fixed')
    weights = dict(cls=2, bbox=5, iou=2, mask=1, dice=1)
    assert {name: head[f'loss_{name}'].loss_weight for name in weights} == weights
    assert [cost.weight for cost in model.train_cfg.assigner.match_costs] == list(weights.values())
    assert (cfg.num_frames, cfg.train_cfg.max_epochs, cfg.param_scheduler[0].milestones) == (6, 6, [3, 5])
    rates = cfg.optim_wrapper.paramwise_cfg.custom_keys
    assert cfg.optim_wrapper.optimizer.lr == 5e-5
    assert [5e-5 * rates[part].lr_mult for part in ('backbone', 'text_encoder')] == pytest.approx([1e-5, 1e-5])


# ---------------------------------------------------------------- data
def resizes(node) -> list[dict]:
    """All resizing transforms inside nested dicts and lists."""
    own = [node] if isinstance(node, dict) and str(node.get('type', '')).endswith('Resize') else []
    children = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    return own + [found for child in children for found in resizes(child)]


def test_real_data_are_resized_as_in_the_reference():
    """To its sizes and by PIL, whose bilinear resize is antialiased (parity's README); SynthRVOS needs no reference."""
    for name in OWN_DATA:
        if 'r50' in name or 'swin' in name:
            found = resizes(loaded(name).to_dict())
            assert found
            assert {resize.get('resize_type', resize['type']) for resize in found} == {'ReferenceResize'}, name
    image = np.random.default_rng(0).integers(0, 256, (72, 128, 3), np.uint8)
    resize = TRANSFORMS.build(dict(type='ReferenceResize', scale=(64, 36)))
    expected = np.asarray(Image.fromarray(image).resize((64, 36), Image.Resampling.BILINEAR))
    assert np.array_equal(resize(dict(img=image))['img'], expected)


@pytest.fixture(scope='module')
def data_root(tmp_path_factory) -> str:
    return str(write_demo_dataset(tmp_path_factory.mktemp('data') / 'demo'))


def move_data(node, root: str) -> None:
    """Every ``data_root`` below becomes ``root``, whose layout all of these data sets share."""
    if isinstance(node, dict) and 'data_root' in node:
        node.data_root = root
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        move_data(child, root)


# A backbone's leaves have data and hooks of those of ResNet-50: see test_a_backbone_changes_itself_and_nothing_else.
OTHER_BACKBONES = {f'{family}/{backbone}_{task}.py' for family, backbone, task in WITH_BACKBONE}
OWN_DATA = [name for name in LEAVES if name not in OTHER_BACKBONES or name.endswith(('_a2d.py', '_jhmdb.py'))]
LAYOUT_OF_REF_YOUTUBE_VOS = {'RefYouTubeVOSDataset', 'SynthRVOSDataset'}
DATA = [
    name
    for name in OWN_DATA
    if loaded(name).get('dataset_type') in LAYOUT_OF_REF_YOUTUBE_VOS and loaded(name).get('train_dataloader')
]


@pytest.mark.parametrize('name', [name for name in DATA if '/ablations' not in name and 'joint' not in name])
def test_pipelines_give_clips_and_evaluators_build(name, data_root):
    cfg = load(name)
    move_data(cfg._cfg_dict, data_root)
    collate = FUNCTIONS.get(cfg.train_dataloader.get('collate_fn', dict(type='pseudo_collate'))['type'])
    batch = collate([DATASETS.build(cfg.train_dataloader.dataset)[0]])
    indices = inputs_indices(batch['data_samples'], len(batch['inputs']))
    for index, sample in zip(indices, batch['data_samples'], strict=True):
        inputs = batch['inputs'][index]
        assert inputs.shape[:2] == (cfg.num_frames, 3)
        assert any(len(frame.gt_instances) for frame in sample)
        for frame in sample:
            assert frame.gt_instances.masks.masks.shape[1:] == frame.img_shape
    for split in ('val', 'test'):
        if cfg[f'{split}_dataloader'] is None:  # validation has no masks to compare with
            assert cfg[f'{split}_evaluator'] is None
            continue
        testing = DATASETS.build(cfg[f'{split}_dataloader'].dataset)[0]
        assert testing['inputs'].shape[0] == testing['data_samples'].ori_video_length == 12
        frame = testing['data_samples'][0]
        assert frame.gt_instances.masks.masks.shape[1:] == frame.ori_shape == (48, 72)
        evaluators = cfg[f'{split}_evaluator']
        for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
            METRICS.build(evaluator)


def pipelines(node) -> list[list]:
    """All pipelines of the datasets inside nested dicts and lists."""
    if isinstance(node, dict) and 'pipeline' in node:
        return [node['pipeline']]
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [found for child in children for found in pipelines(child)]


@pytest.mark.parametrize('name', OWN_DATA)
def test_every_loader_names_registered_parts(name):
    cfg = load(name)
    loaders = [cfg[key] for key in ('train_dataloader', 'val_dataloader', 'test_dataloader') if cfg.get(key)]
    assert loaders
    for loader in loaders:
        assert DATASETS.get(loader.dataset.type) is not None
        assert pipelines(loader)
        for transform in (transform for pipeline in pipelines(loader) for transform in pipeline):
            TRANSFORMS.build(transform)


def strings(node) -> list[str]:
    """All strings inside nested dicts and lists."""
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    return [text for child in children for text in strings(child)]


@pytest.mark.parametrize('name', OWN_DATA)
def test_hooks_build_and_no_path_is_absolute(name):
    cfg = loaded(name).to_dict()
    for hook in [*cfg['default_hooks'].values(), *cfg.get('custom_hooks', [])]:
        if hook['type'] not in {'DetVisualizationHook', 'RVOSVisualizationHook'}:  # they need the runner's visualizer
            HOOKS.build(dict(hook))
    assert [text for text in strings(cfg) if text.startswith(('/', '~'))] == []
