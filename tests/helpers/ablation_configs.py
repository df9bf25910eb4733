"""Two stages and variants of the second, for a tiny model: what tools/analysis_tools/ablate.py is given."""

from pathlib import Path

from ifirvos.config import with_data_root
from ifirvos.testing import shrink

ROOT = Path(__file__).resolve().parents[2]


def write_configs(folder: Path, root: str) -> Path:
    """first.py, second.py, and variants of the second: wo_ifi.py, other_rate.py."""
    for name, stage in dict(first='r18_synth_pretrain', second='r18_synth').items():
        cfg = shrink(ROOT / f'configs/ifirvos/{stage}.py')
        for node in with_data_root(cfg._cfg_dict):
            node['data_root'] = root
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


def arguments(configs: Path, *more: str, variants=('second', 'wo_ifi')) -> list[str]:
    """The tool's command line."""
    paths = [str(configs / f'{name}.py') for name in variants]
    return [*paths, '--stages', str(configs / 'first.py'), str(configs / 'second.py'), *more]


def stages(configs: Path) -> list[Path]:
    return [configs / 'first.py', configs / 'second.py']
