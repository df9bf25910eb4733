"""The data sets of the shipped configs, on other data."""

from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import BaseDataset

from ifirvos.registry import DATASETS

CONFIGS = Path(__file__).parents[2] / 'configs/_base_/datasets'


def shipped_dataset(config: str, root: Path, loader: str, **changes) -> BaseDataset:
    """That of a dataloader; the first, where it joins several."""
    cfg = Config.fromfile(CONFIGS / f'{config}.py')[loader].dataset
    cfg = cfg.get('datasets', [cfg])[0]
    cfg.update(data_root=str(root), **changes)
    return DATASETS.build(cfg)
