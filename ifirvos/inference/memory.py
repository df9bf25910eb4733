"""How much goes through the model at a time: as much as memory allows, and little once it has run out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from ifirvos.errors import LimitError, one_line

SMALL_CHUNK = 4  # frames at a time at most, once memory has run out
# Upper bound of a sentence's peak memory per byte of fp32 features of its window: 12 to 20 were measured,
# with small and with large test_cfg.frame_chunk.
BYTES_A_FEATURE_BYTE = 20
_SAID = ('out of memory', "can't allocate memory")  # of CUDA and of torch's allocator on a CPU


def sentences_within(memory: float, feats: Sequence[Tensor], shape: Sequence[int]) -> int:
    """Return how many sentences may be processed at once; at least one.

    Args:
        memory: GiB for them.
        feats: Features of the window's T frames, (T, C, h, w) per level.
        shape: (H, W) of the video, the size of the masks.
    """
    features = sum(level.numel() for level in feats) * 4  # most later steps are in fp32 anyway
    masks = len(feats[0]) * shape[0] * shape[1]
    return max(1, int(memory * 2**30 // (BYTES_A_FEATURE_BYTE * features + masks)))


class SmallerParts:
    """Whether memory has run out, so that one sentence and a few frames are processed at a time from then on.

    Attributes:
        taken: It has.
    """

    def __init__(self) -> None:
        self.taken = False

    def take(self, error: Exception, model: nn.Module) -> None:
        """Set a model to a few frames at a time after memory has run out, once.

        Raises:
            The error, if it is another one.
            LimitError: It is the second time.
        """
        if not is_out_of_memory(error):
            raise error
        if self.taken:
            raise LimitError(
                'Memory runs out even one sentence and a few frames at a time: use shorter windows '
                '(--clip-len, clip_len=), smaller frames, or another device.'
            ) from error
        self.taken = True
        test_cfg = getattr(model, 'test_cfg', None)
        if test_cfg is not None:
            test_cfg['frame_chunk'] = min(model.frame_chunk or SMALL_CHUNK, SMALL_CHUNK)
        free_cached_memory()
        MMLogger.get_current_instance().warning(
            'Memory has run out (%s): going on one sentence and a few frames at a time, which takes longer.',
            one_line(error, 200),
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory, of a GPU or of the machine, was too small."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


def free_cached_memory() -> None:
    """Give back what torch keeps of a GPU's memory: in smaller parts it is needed in other sizes."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
