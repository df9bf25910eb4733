"""Batches with two sentences about the same clip, so that the model must tell them apart."""

from collections import defaultdict

import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from torch import Tensor

from ifirvos.registry import DATASETS, FUNCTIONS
from ifirvos.remembered import remembering


@DATASETS.register_module()
class PairedExpressions:
    """Every record comes with another of the same video and kind that is about another object.

    Both are drawn from the same state of numpy's generator, so they show the same frames under the same augmentation.
    Ours: on SynthRVOS's pairs, where half of the batch asks for one object and half for its twin, what only a look at
    several frames can tell is learnt from half as many clips. The partner of a sentence that fits nothing (object 0) is
    one of any kind of the same video, so that the same frames show what is there and what is not. Where there is none,
    the partner is the record itself, drawn anew.

    Args:
        dataset: A ``BaseRVOSDataset`` for training with ``records='expression'``.
    """

    def __init__(self, dataset: dict) -> None:
        self.dataset: BaseDataset = DATASETS.build(dataset)
        self.metainfo = self.dataset.metainfo
        self.full_init()

    def full_init(self) -> None:
        """Group the records by video and kind."""
        self.dataset.full_init()
        # Not all of dataset.expressions: `indices` choose some. And not its own get_data_info, which lists all frames.
        records = (BaseDataset.get_data_info(self.dataset, index) for index in range(len(self.dataset)))
        asked = [self.dataset.expressions[record['expression_id']] for record in records]
        self._asked = [(one['video_id'], one['kind'], one['obj_id']) for one in asked]
        self._groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._videos: dict[str, list[int]] = defaultdict(list)
        for index, (video_id, kind, _) in enumerate(self._asked):
            self._groups[video_id, kind].append(index)
            self._videos[video_id].append(index)

    def __len__(self) -> int:
        return len(self.dataset)

    def partners(self, idx: int) -> list[int]:
        """Return the records of the same video about another object, of the same kind unless it is about none."""
        video_id, kind, own = self._asked[idx]
        group = self._videos[video_id] if own == 0 else self._groups[video_id, kind]
        return [other for other in group if self._asked[other][-1] != own]

    def __getitem__(self, idx: int) -> list[dict]:
        """Two packed clips; :func:`pair_collate` makes a batch of them."""
        partner = np.random.choice(self.partners(idx) or [idx])
        state = np.random.get_state()
        with remembering():  # both read the same files
            first = self.dataset[idx]
            np.random.set_state(state)
            return [first, self.dataset[partner]]


@FUNCTIONS.register_module()
def pair_collate(batch: list[list[dict]]) -> dict:
    """Batch of pairs -> mmengine's pseudo batch of twice as many clips, less the frames that it would hold twice.

    Both clips of a pair usually show the same frames: ``inputs`` holds them once, so that the backbone sees them once.
    The metainfo ``inputs_index`` of every clip says which of ``inputs`` are its frames.
    """
    collated = pseudo_collate([clip for pair in batch for clip in pair])
    inputs: list[Tensor] = []
    for number, (frames, clip) in enumerate(zip(collated['inputs'], collated['data_samples'], strict=True)):
        if number % 2 == 0 or not torch.equal(frames, inputs[-1]):
            inputs.append(frames)
        clip.set_metainfo(dict(inputs_index=len(inputs) - 1))
    return {**collated, 'inputs': inputs}
