"""`ifirvos train`, `ifirvos test` and publish_model.py as a user runs them, on a few tiny clips."""

import os
import pickle
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from tool_scripts import load_tool

from ifirvos.checkpoint import load_checkpoint, load_strictly
from ifirvos.errors import CheckpointError, InputError, MissingFileError, UserError
from ifirvos.registry import MODELS
from ifirvos.testing import shrink, write_demo_dataset
from ifirvos.training.run_info import git_commit
from ifirvos_cli import test, train

pytestmark = pytest.mark.usefixtures('process_state')
ROOT = Path(__file__).resolve().parents[2]


publish_model = load_tool('model_converters/publish_model.py')


@pytest.fixture(scope='module')
def config(tmp_path_factory) -> Path:
    """r18_synth, shrunk, on its own data, two iterations; what else differs is said with --cfg-options."""
    folder = tmp_path_factory.mktemp('train_test')
    cfg = shrink(ROOT / 'configs/ifirvos/r18_synth.py')
    root = str(write_demo_dataset(folder / 'data', num_clips=1))
    cfg.train_dataloader.dataset = cfg.train_dataloader.dataset.datasets[0]  # one clip has not all kinds
    datasets = [cfg.train_dataloader.dataset, cfg.val_dataloader, *cfg.test_dataloader.dataset.datasets]
    for dataset in datasets:
        dataset.get('dataset', dataset).data_root = root
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.load_from = None
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.checkpoint.interval = 1
    path = folder / 'tiny.py'
    cfg.dump(path)
    return path


@pytest.fixture(scope='module')
def work_dir(config) -> Path:
    """Where two iterations were trained."""
    folder = config.parent / 'work'
    train.main([str(config), '--work-dir', str(folder), '--seed', '7'])
    return folder


def log_of(folder: Path) -> str:
    return '\n'.join(path.read_text() for path in sorted(folder.glob('*/*.log')))


def test_a_process_of_torchrun(config, tmp_path, monkeypatch):
    """What tools/dist_train.sh and dist_test.sh start. Without a GPU mmengine alone would ask for one."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    for name, value in dict(RANK=0, LOCAL_RANK=0, WORLD_SIZE=1, MASTER_ADDR='127.0.0.1', MASTER_PORT=port).items():
        monkeypatch.setenv(name, str(value))
    options = ['--launcher', 'pytorch', '--work-dir', str(tmp_path)]
    try:
        train.main([str(config), *options])
        metrics = test.run(test.parse_args([str(config), str(tmp_path / 'iter_2.pth'), *options]))
    finally:
        dist.destroy_process_group()
    assert 'rvos/J&F' in metrics
    assert 'Distributed launcher: pytorch' in log_of(tmp_path)


def test_a_launcher_that_needs_gpus(config, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    for tool, more in ((train, []), (test, [str(config)])):
        with pytest.raises(InputError, match='slurm needs GPUs'):
            tool.load_config(tool.parse_args([str(config), *more, '--launcher', 'slurm']))


def test_training_leaves_config_log_environment_and_checkpoints(work_dir):
    assert Config.fromfile(work_dir / 'tiny.py').randomness.seed == 7
    assert (work_dir / 'last_checkpoint').read_text().endswith('iter_2.pth')
    checkpoint = load_checkpoint(work_dir / 'iter_2.pth')
    info = checkpoint['meta']['run_info']
    assert info['seed'] == checkpoint['meta']['seed'] == 7
    assert info['commit'] == git_commit()
    log = log_of(work_dir)
    for text in ('System environment', f'Run: commit {info["commit"]}, seed 7', "type='IFIRVOS'", 'J&F'):
        assert text in log
    first = load_checkpoint(work_dir / 'iter_1.pth')['state_dict']
    changed = [key for key, value in checkpoint['state_dict'].items() if not torch.equal(value, first[key])]
    assert any(key.startswith('decoder.layers.0.ifi') for key in changed)
    assert not any(key.startswith('backbone') for key in changed), 'r18_synth freezes it'


def test_resuming_goes_on_where_training_stopped(config, work_dir, tmp_path):
    """From iteration 1, found in the work directory: the optimiser's memory comes along."""
    (tmp_path / 'last_checkpoint').write_text(str(work_dir / 'iter_1.pth'))
    train.main([str(config), '--work-dir', str(tmp_path), '--seed', '7', '--resume'])
    resumed = load_checkpoint(tmp_path / 'iter_2.pth')
    assert resumed['meta']['iter'] == 2
    assert {int(state['step']) for state in resumed['optimizer']['state'].values()} == {2}
    assert 'resumed epoch: 0, iter: 1' in log_of(tmp_path)


def test_resuming_from_a_file_that_is_named(config, work_dir):
    weights = str(work_dir / 'iter_1.pth')
    cfg = train.load_config(train.parse_args([str(config), '--work-dir', str(work_dir), '--resume', weights]))
    assert (cfg.resume, cfg.load_from) == (True, weights)


def test_nothing_to_resume_keeps_the_weights_to_start_from(config, work_dir, tmp_path):
    """mmengine would start from nothing."""
    weights = str(work_dir / 'iter_1.pth')
    arguments = [str(config), '--work-dir', str(tmp_path), '--cfg-options', f'load_from={weights}']
    cfg = train.load_config(train.parse_args([*arguments, '--resume']))
    assert (cfg.resume, cfg.load_from) == (False, weights)
    (tmp_path / 'last_checkpoint').write_text('elsewhere.pth')
    with pytest.raises(SystemExit, match=r'to resume from, elsewhere\.pth, is gone'):
        train.load_config(train.parse_args([*arguments, '--resume']))


@pytest.mark.parametrize(
    ('options', 'kept'),
    [
        ([], False),
        (['default_hooks.hand_over.allow_missing=[vli[.]]'], False),
        (['default_hooks.hand_over.allow_missing=[text_encoder[.]model[.]pooler[.]]'], False),
        (['default_hooks.hand_over=None'], True),
        (['default_hooks.hand_over.allow_missing=[backbone[.]layer4[.]]'], True),
        (['default_hooks.hand_over.drop=[.*]'], True),
        (['load_from=None'], True),
    ],
)
def test_what_the_weights_bring_is_not_loaded_before(work_dir, tmp_path, options, kept):
    """The backbone's own weights are a file that fine-tuning has no use for."""
    arguments = [str(ROOT / 'configs/ifirvos/video_swin_t_ytvos.py'), '--work-dir', str(tmp_path), '--cfg-options']
    weights = str(work_dir / 'iter_1.pth')
    cfg = train.load_config(train.parse_args([*arguments, f'load_from={weights}', *options]))
    assert (cfg.model.backbone.init_cfg is not None) == kept
    text_kept = any(word in str(options) for word in ('load_from', 'drop', 'pooler'))
    assert cfg.model.text_encoder.get('pretrained', True) == text_kept
    if not kept and not options:
        resumed = train.load_config(train.parse_args([*arguments[:3], '--resume', weights]))
        assert resumed.model.backbone.init_cfg is None


def test_missing_files_are_named_before_anything_is_built(config, tmp_path):
    with pytest.raises(UserError, match=r'none\.py'):
        train.load_config(train.parse_args(['none.py']))
    with pytest.raises(SystemExit, match=r'stage1\.pth.*load_from=None'):
        train.load_config(train.parse_args([str(config), '--cfg-options', 'load_from=stage1.pth']))
    cfg = train.load_config(train.parse_args([str(config), '--cfg-options', 'load_from=None']))
    assert cfg.load_from is None
    options = ['load_from=None', 'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=True']
    cfg = train.load_config(train.parse_args([str(config), '--cfg-options', *options]))
    assert not cfg.val_dataloader.persistent_workers  # torch refuses it without workers
    with pytest.raises(UserError, match=r'none\.pth'):
        test.main([str(config), str(tmp_path / 'none.pth')])
    with pytest.raises(UserError, match=r'none\.py'):
        test.load_config(test.parse_args(['none.py', 'none.pth']))


@pytest.mark.parametrize(
    'line',
    [
        ['--cfg-options', 'default_hooks.hand_over=None', 'load_from=r18_synth'],
        ['--cfg-options', 'default_hooks=None', 'load_from=r18_synth'],
        ['--cfg-options', 'randomness=None', '--seed', '3'],
        ['--cfg-options', 'model.text_encoder=None', 'load_from=r18_synth'],
        ['--cfg-options', 'default_hooks.resumption=None', '--resume', '--reset-optimizer'],
        ['--cfg-options', 'default_hooks=None', '--resume', '--reset-optimizer'],
    ],
)
def test_what_is_switched_off_stays_so(config, tmp_path, line):
    cfg = train.load_config(train.parse_args([str(config), '--work-dir', str(tmp_path), *line]))
    if '--seed' in line:
        assert cfg.randomness.seed == 3
    if '--reset-optimizer' in line:
        assert cfg.default_hooks.resumption == dict(type='ResumeHook', reset_optimizer=True)


def test_a_schedule_without_a_batch_size_to_scale_from(config, tmp_path):
    line = [str(config), '--work-dir', str(tmp_path), '--auto-scale-lr', '--cfg-options', 'auto_scale_lr=None']
    with pytest.raises(SystemExit, match='base_batch_size'):
        train.load_config(train.parse_args(line))


@pytest.mark.parametrize(
    ('environment', 'first'),
    [({}, True), (dict(RANK='0', SLURM_PROCID='1'), True), (dict(OMPI_COMM_WORLD_RANK='1', SLURM_PROCID='0'), False)],
)
def test_who_claims_the_work_directory(monkeypatch, environment, first):
    for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert train._is_first() is first


def test_evaluation_returns_the_metrics(config, work_dir, tmp_path, capfd):
    metrics = test.run(test.parse_args([str(config), str(work_dir / 'iter_2.pth'), '--work-dir', str(tmp_path)]))
    scores = {name: value for name, value in metrics.items() if name.endswith('J&F')}
    assert scores
    assert all(0 <= value <= 100 for value in scores.values())
    assert any('attr_comp' in name for name in metrics), 'both splits were evaluated'
    assert 'attr_comp' in ''.join(capfd.readouterr())


def test_averaged_weights_are_evaluated_as_they_are(config, work_dir, tmp_path):
    line = [str(config), str(work_dir / 'iter_2.pth'), '--work-dir', str(tmp_path)]
    plain = test.run(test.parse_args(line))
    averaged = test.run(test.parse_args([*line, '--cfg-options', 'default_hooks.ema.type=EMAHook']))
    assert averaged == pytest.approx(plain, nan_ok=True)


def test_weights_of_another_model_are_refused(config, work_dir, tmp_path):
    options = ['--work-dir', str(tmp_path), '--cfg-options', 'model.decoder.layer_cfg.ifi_cfg.temporal_pos=learned']
    with pytest.raises(UserError, match=r'does not fit .*missing .decoder.*time_projection'):
        test.main([str(config), str(work_dir / 'iter_2.pth'), *options])


class Evil:
    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_the_tools_run_no_code_of_a_checkpoint(work_dir, tmp_path):
    """Neither on the way that a Runner takes to a local file, nor on mmengine's fallback to unpickling anything."""
    evil = Evil()
    evil.target = str(tmp_path / 'made')
    torch.save(dict(load_checkpoint(work_dir / 'iter_1.pth'), evil=evil), tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match=r'evil\.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'evil.pth'))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'evil.pth', weights_only=False)
    assert not (tmp_path / 'made').exists()


# ---------------------------------------------------------------- publish_model.py
def test_published_weights(config, work_dir, tmp_path):
    source, target = work_dir / 'iter_2.pth', tmp_path / 'sub' / 'model.pth'
    publish_model.main([str(source), str(config), str(target), '--card', 'machine=2 cores', 'a=b=c'])
    published, trained = load_checkpoint(target), load_checkpoint(source)
    meta = published['meta']
    assert published.keys() == {'meta', 'state_dict'}
    assert (meta['dtype'], meta['iter'], meta['seed']) == ('float16', 2, 7)
    assert (meta['machine'], meta['a']) == ('2 cores', 'b=c')
    assert meta['run_info'] == trained['meta']['run_info']
    # The file is enough: config and weights, strictly.
    model = MODELS.build(Config.fromstring(meta['config_text'], '.py').model)
    load_strictly(model, published, str(target), 'its own config')
    for name, value in trained['state_dict'].items():
        kept = published['state_dict'][name]
        if name.endswith(('running_mean', 'running_var', 'num_batches_tracked')):
            assert kept.dtype == value.dtype, name
            assert torch.equal(kept, value), name
        elif value.is_floating_point():
            assert kept.dtype == torch.float16, name
            torch.testing.assert_close(kept.float(), value, rtol=1e-3, atol=1e-7)
        else:
            assert torch.equal(kept, value), name
    assert published['state_dict']['backbone.bn1.num_batches_tracked'].dtype == torch.int64
    assert target.stat().st_size < source.stat().st_size / 2
    assert [path.name for path in target.parent.iterdir()] == ['model.pth'], 'no part is left'


def test_publishing_loads_no_other_weights_of_the_text_encoder(config, work_dir, tmp_path, monkeypatch):
    def build(cfg):
        assert cfg['text_encoder']['pretrained'] is False
        raise KeyError('far enough')

    cfg = Config.fromfile(config)
    cfg.model.text_encoder = dict(type='RobertaTextEncoder', name='roberta-base')
    cfg.dump(tmp_path / 'hub.py')
    monkeypatch.setattr(publish_model.MODELS, 'build', build)
    with pytest.raises(KeyError, match='far enough'):
        publish_model.main([str(work_dir / 'iter_2.pth'), str(tmp_path / 'hub.py'), str(tmp_path / 'a.pth')])


def test_publishing_gives_the_same_bytes(config, work_dir, tmp_path):
    for name in ('a.pth', 'other.pth'):
        publish_model.publish(work_dir / 'iter_2.pth', config, tmp_path / name, 'bfloat16')
    assert (tmp_path / 'a.pth').read_bytes() == (tmp_path / 'other.pth').read_bytes()


def test_what_may_not_be_published(config, work_dir, tmp_path):
    source, target = work_dir / 'iter_2.pth', tmp_path / 'model.pth'
    with pytest.raises(InputError, match='the checkpoint itself'):
        publish_model.main([str(source), str(config), str(source)])
    with pytest.raises(InputError, match='seed'):
        publish_model.main([str(source), str(config), str(target), '--card', 'seed=1'])
    with pytest.raises(CheckpointError, match='does not fit'):
        publish_model.main([str(source), str(ROOT / 'configs/ifirvos/r18_synth.py'), str(target)])
    with pytest.raises(MissingFileError, match='No such weights'):
        publish_model.main([str(tmp_path / 'none.pth'), str(config), str(target)])
    with pytest.raises(ValueError, match='w is not finite in torch.float16'):
        publish_model.convert(dict(w=torch.tensor([1e6])), torch.float16)
    assert not target.exists()


def test_commit_outside_a_checkout(tmp_path):
    assert git_commit(tmp_path) == 'unknown'
    (tmp_path / '.git').write_text('nothing that git knows')
    assert git_commit(tmp_path) == 'unknown'
