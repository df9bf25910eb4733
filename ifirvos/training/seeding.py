"""Seeds computed from the position in training, so that no random state needs to be stored.

Each sample has a seed from (seed, epoch, position in the epoch), each training step one from (seed, process,
iteration). Augmentation thus does not depend on the number of workers or on how samples are distributed over GPUs, and
a resumed run gets the same random numbers.
"""

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Dataset, Sampler

from ifirvos.errors import InputError
from ifirvos.registry import DATA_SAMPLERS, DATASETS

Draw = tuple[int, int]  # index of a sample, its seed


def seed_from(*numbers: int) -> int:
    """Return a 64-bit seed for non-negative numbers; other numbers, or another order, give an unrelated one."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def seed_generators(seed: int) -> None:
    """Seeds Python's, numpy's and torch's global generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class SeededDraws(Dataset):
    """A data set whose items are indexed by :class:`DrawSampler`: index and seed.

    Args:
        dataset: The data set.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    @property
    def metainfo(self) -> dict:
        """The data set's."""
        return self.dataset.metainfo

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, draw: Draw) -> Any:
        index, seed = draw
        seed_generators(seed)
        return self.dataset[index]

    def __deepcopy__(self, memo: dict) -> 'SeededDraws':
        return self  # mmengine copies the config of a dataloader, which holds this


@DATA_SAMPLERS.register_module()
class DrawSampler(Sampler):
    """Adds a seed to each index of another sampler.

    Args:
        dataset: Data set to sample from.
        sampler: Config of the sampler that orders it.
        seed: Seed of the order and of the samples. None: a random one, the same in all processes.
    """

    def __init__(self, dataset: Any, sampler: dict, seed: int | None = None) -> None:
        self.sampler = DATA_SAMPLERS.build(sampler, default_args=dict(dataset=dataset, seed=seed))
        self.seed = sync_random_seed() if seed is None else seed
        self.rank, self.world_size = get_dist_info()
        self.epoch, self.skipped = 0, 0

    def set_epoch(self, epoch: int) -> None:
        """As mmengine's samplers."""
        self.epoch = epoch
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(epoch)

    def set_seed(self, seed: int) -> None:
        """Set another seed."""
        self.seed = seed
        if hasattr(self.sampler, 'seed'):
            self.sampler.seed = seed

    def skip(self, samples: int) -> None:
        """Skip the first ``samples`` samples of the next pass."""
        self.skipped = samples

    def __iter__(self) -> Iterator[Draw]:
        epoch, first, self.skipped = self.epoch, self.skipped, 0
        for position, index in islice(enumerate(self.sampler), first, None):
            yield int(index), seed_from(self.seed, epoch, position * self.world_size + self.rank)

    def __len__(self) -> int:
        return len(self.sampler)


def seeded_dataloader(cfg: dict) -> dict:
    """Return a dataloader's config with the two classes above around its data set and its sampler.

    Raises:
        InputError: If it has a batch sampler, whose position cannot be restored, or a sampler without an end.
    """
    if cfg.get('batch_sampler') is not None:
        raise InputError(
            "A train_dataloader with a batch_sampler cannot be resumed exactly: leave it out, or use mmengine's "
            'EpochBasedTrainLoop or IterBasedTrainLoop.'
        )
    sampler = cfg['sampler'].get('type')
    if getattr(sampler, '__name__', str(sampler)).rpartition('.')[-1] == 'InfiniteSampler':
        raise InputError(
            'A train_dataloader with an InfiniteSampler cannot be resumed exactly: use '
            "sampler=dict(type='DefaultSampler', shuffle=True), which these loops go through again and again."
        )
    dataset = DATASETS.build(cfg['dataset'])
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    return {**cfg, 'dataset': SeededDraws(dataset), 'sampler': dict(type='DrawSampler', sampler=cfg['sampler'])}
