"""Runs of a second: the R50 model of the paper, shrunk but with its dropout, on a few tiny clips."""

import gc
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from ifirvos.testing import shrink

ROOT = Path(__file__).parents[2]


def tiny_config(data_root: Path, config: str = 'ifirvos/r50_ytvos.py', curves: bool = False) -> Config:
    """The model of ``config``, shrunk, on SynthRVOS: 6 iterations, twice over 6 clips, 2 a batch, T=2, 32x48 pixels."""
    cfg = Config.fromfile(ROOT / 'configs/ifirvos/r18_synth.py')
    cfg.model = shrink(ROOT / 'configs' / config).model
    cfg.model.encoder.num_layers = 1
    sample, frames, *rest = cfg.train_pipeline
    frames.transforms[2].scale = (48, 32)
    sample.num_frames = 2
    dataset = dict(type='SynthRVOSDataset', data_root=str(data_root))
    loader = dict(num_workers=0, collate_fn=dict(type='pseudo_collate'))
    cfg.train_dataloader = dict(
        batch_size=2,
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(dataset, split='train', records='expression', indices=6, pipeline=[sample, frames, *rest]),
        **loader,
    )
    cfg.val_dataloader = dict(
        batch_size=1,
        sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
        dataset=dict(dataset, split='valid', test_mode=True, indices=2, pipeline=cfg.test_pipeline),
        **loader,
    )
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    cfg.load_from = None
    cfg.train_cfg.update(max_iters=6, val_interval=6)
    cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3), clip_grad=dict(max_norm=1.0))
    cfg.param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=6)]
    cfg.default_hooks.checkpoint.interval = 1
    cfg.default_hooks.logger.interval = 1
    if not curves:
        del cfg.default_hooks['curves']  # drawn at the end of every run, a third of its time
    return cfg


def without_validation(cfg: Config) -> Config:
    """The same, faster."""
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    return cfg


def by_epochs(cfg: Config, epochs: int) -> Config:
    """The same with the schedule of the R50 models."""
    cfg.train_cfg = dict(type='ResumableEpochLoop', max_epochs=epochs, val_interval=epochs)
    cfg.param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[1], gamma=0.1)]
    cfg.default_hooks.checkpoint.by_epoch = True
    cfg.log_processor.by_epoch = True
    return cfg


class At(Hook):
    """Calls something before an iteration (counted from 0)."""

    priority = 'VERY_HIGH'

    def __init__(self, iteration: int, action) -> None:
        self.iteration, self.action = iteration, action

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        if runner.iter == self.iteration:
            self.action(runner)


class Killed(Exception):
    """What :func:`kill` raises."""


def kill(runner: Runner) -> None:
    """An action of :class:`At`: training ends as if its process did."""
    raise Killed


class Losses(Hook):
    """Keeps the loss of every iteration."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self.values.append(float(outputs['loss'].detach()))


def run(cfg: Config, work_dir: Path, *hooks: Hook, resume: bool = False, **changes) -> Runner:
    """Trains; ``changes`` are ``key__subkey=value``."""
    cfg = Config(cfg.to_dict())
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in changes.items()})
    cfg.work_dir, cfg.resume = str(work_dir), resume
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    try:
        runner.train()
    finally:
        end_workers()
    return runner


def end_workers() -> None:
    """End them now: torch waits five seconds for each where the garbage collector finds their iterator in a cycle, as
    in a runner and its loop, for then their queues are closed first."""
    for found in gc.get_objects():
        if type(found) is _MultiProcessingDataLoaderIter:
            found._shutdown_workers()


def weights(runner: Runner) -> dict:
    return {name: value.clone() for name, value in runner.model.state_dict().items()}
