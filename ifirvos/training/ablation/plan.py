"""What to train: every variant under every seed, through all stages; and what of it is done."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from ifirvos.checkpoint import load_checkpoint
from ifirvos.config import merge_options, need, read_config, with_data_root
from ifirvos.errors import InputError, MissingFileError
from ifirvos.training.checkpointing import latest_checkpoint
from ifirvos.training.early_stopping import was_stopped_early


@dataclass(frozen=True)
class Run:
    """One variant under one seed.

    Attributes:
        variant: Its name, 'full' for the last stage itself.
        seed: Seed of all its stages.
        folder: Where its configs, stages and logs go.
        stages: The config of every stage, in order.
    """

    variant: str
    seed: int
    folder: Path
    stages: tuple[Config, ...]

    @property
    def probe(self) -> Path:
        """The rows of this run; there when it is done."""
        return self.folder / 'probe.csv'

    def about(self) -> dict[str, Any]:
        """Return what probe.py noted beside the rows, which must be there."""
        return json.loads(self.probe.with_suffix('.json').read_text())

    def work_dir(self, stage: int) -> Path:
        """Return where a stage is trained."""
        return self.folder / f'stage{stage + 1}'

    def config(self, stage: int) -> Path:
        """Return what a stage was trained with; there as soon as it has begun."""
        return self.folder / f'stage{stage + 1}.py'


def difference(old: dict, new: dict) -> dict:
    """Find what turns ``old`` into ``new``, for :func:`apply`: nested, with a whole value where either is no dict."""
    changes = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            inner = difference(old[key], value)
            if inner:
                changes[key] = ('merge', inner)
        elif key not in old or value != old[key]:
            changes[key] = ('set', value)
    return changes


def apply(changes: dict, target: dict) -> None:
    """Do to ``target`` what :func:`difference` found.

    Raises:
        InputError: ``target`` has no place for a change.
    """
    for key, change in changes.items():
        if change is None:
            target.pop(key, None)
            continue
        how, value = change
        if how == 'merge' and isinstance(target.get(key), dict):
            apply(value, target[key])
        elif how == 'set':
            target[key] = deepcopy(value)
        else:
            raise InputError(f'An earlier stage has no {key!r} that a variant could change: give it stages of its own.')


def stages_of(variant: Path, stages: Sequence[Path]) -> tuple[Config, ...]:
    """Return the configs of all stages with the variant's model; the last is the variant itself.

    All stages also import what the variant's ``custom_imports`` name: its model may have classes of its own.

    Raises:
        InputError: the variant changes more than the model: the rows could not be compared.
    """
    configs, last = [read_config(path) for path in stages], read_config(variant)
    for path, config in zip((*stages, variant), (*configs, last), strict=True):
        need(config, ('model', 'train_dataloader', 'train_cfg'), path)
    changes = difference(*(_without_scopes(config.to_dict()) for config in (configs[-1], last)))
    model = changes.pop('model', ('merge', {}))[1]
    changes.pop('custom_imports', None)
    if changes:
        raise InputError(f'{variant} differs from {stages[-1]} in more than its model: {", ".join(sorted(changes))}.')
    for config in configs[:-1]:
        changed = config.to_dict()
        apply(model, changed['model'])
        config.model = ConfigDict(changed['model'])
        imports = dict.fromkeys([*_imports(config), *_imports(last)])
        config.custom_imports = dict(config.get('custom_imports') or {}, imports=list(imports))
    return (*configs[:-1], last)


def _imports(config: Config) -> list[str]:
    names = (config.get('custom_imports') or {}).get('imports') or []
    return [names] if isinstance(names, str) else list(names)


def _without_scopes(node: Any) -> Any:
    """Leave out ``_scope_``, which mmengine adds to all that a config inherits from a package ('ifirvos::…')."""
    if isinstance(node, dict):
        return {key: _without_scopes(value) for key, value in node.items() if key != '_scope_'}
    return [_without_scopes(value) for value in node] if isinstance(node, list | tuple) else node


def shorten(stage: Config, steps: int) -> None:
    """Give a stage another number of iterations. What its schedule does later moves along; its warm-up stays.

    Raises:
        InputError: the stage counts epochs.
    """
    if 'max_iters' not in stage.train_cfg:
        raise InputError(f'{stage.filename} counts epochs; --steps is for stages that count iterations.')
    before = stage.train_cfg.max_iters
    stage.train_cfg.update(max_iters=steps, val_interval=steps)
    for scheduler in stage.param_scheduler:
        if scheduler.get('begin', 0) > 0:
            scheduler.update(begin=scheduler.begin * steps // before, end=scheduler.end * steps // before)


def plan(
    variants: Sequence[Path],
    stages: Sequence[Path],
    seeds: Sequence[int],
    out: Path,
    *,
    steps: Sequence[int] | None = None,
    data_root: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> list[Run]:
    """List all runs, seed by seed: a table of one seed is complete first.

    Args:
        variants: Configs; the last stage itself is called 'full'.
        stages: Configs that are trained one after the other.
        seeds: Seeds of every variant.
        out: Where the runs' folders go.
        steps: Iterations of each stage; None: as the configs say.
        data_root: Where all data sets lie; None: as the configs say.
        changes: Changes to all stages, by dotted key.

    Raises:
        MissingFileError: there is no such variant.
        InputError: two variants have one name, or cannot be compared.
    """
    runs, names = [], {}
    for config in variants:
        if not config.is_file():
            raise MissingFileError(f'The config {config} does not exist.')
        name = 'full' if config.resolve() == Path(stages[-1]).resolve() else config.stem
        if name in names:
            raise InputError(f'{config} and {names[name]} would both be called {name!r}.')
        names[name] = config
    for seed in seeds:
        for name, config in names.items():
            configs = stages_of(config, stages)
            for stage, number in zip(configs, steps or [None] * len(configs), strict=True):
                if number:
                    shorten(stage, number)
                if data_root:
                    for node in with_data_root(stage._cfg_dict):
                        node['data_root'] = data_root
                stage.randomness = dict(seed=seed)
                merge_options(stage, changes)
            runs.append(Run(name, seed, out / name / f'seed{seed}', configs))
    return runs


def refuse_other_configs(runs: Sequence[Run]) -> None:
    """Check that what has been trained in the folders of the runs was trained as they are planned now.

    Raises:
        InputError: names a run that was not, and what differs.
    """
    for run in runs:
        for stage, planned in enumerate(run.stages):
            if not run.config(stage).is_file():
                continue
            before, now = Config.fromfile(run.config(stage)).to_dict(), planned.to_dict()
            for config in (before, now):
                config.pop('load_from', None)  # the stage before, found when it is trained
            if changes := difference(before, now):
                raise InputError(
                    f'{run.config(stage)} was trained with another {", ".join(sorted(changes))}: give the commands '
                    'that differ an --out of their own.'
                )
        if _was_probed(run) and not run.config(len(run.stages) - 1).is_file():  # rows that were kept alone
            about, last = run.about(), run.stages[-1]
            planned = dict(
                iterations=last.train_cfg.get('max_iters'), class_weight=last.model.bbox_head.loss_cls.loss_weight
            )
            others = {key: about.get(key) for key, value in planned.items() if value not in (None, about.get(key))}
            if others:
                raise InputError(
                    f'{run.probe} is of a run with another {", ".join(others)} '
                    f'({", ".join(map(str, others.values()))}): give the command an --out of its own.'
                )


def is_trained(run: Run, stage: int) -> str | None:
    """Return the last checkpoint of a stage if it has gone all the way, or was ended early by its hook."""
    path = latest_checkpoint(run.work_dir(stage))
    if path is None or not Path(path).is_file():
        return None
    meta, loop = load_checkpoint(path)['meta'], run.stages[stage].train_cfg
    if was_stopped_early(run.work_dir(stage), meta['iter']):
        return path
    done = meta['iter'] >= loop.max_iters if 'max_iters' in loop else meta['epoch'] >= loop.max_epochs
    return path if done else None


def is_probed(run: Run, per_kind: int | None) -> bool:
    """Return whether the rows of a run are there, of as many expressions as are wanted."""
    return _was_probed(run) and run.about()['per_kind'] == per_kind


def _was_probed(run: Run) -> bool:
    return run.probe.is_file() and run.probe.with_suffix('.json').is_file()
