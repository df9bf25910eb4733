"""Limits the memory that building a model from a file's own config may take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .errors import CheckpointError

_SIZED = {'empty', 'zeros', 'ones', 'full', 'rand', 'randn', 'empty_strided', 'new_empty', 'new_zeros'}
_COUNTED = {'arange', 'linspace', 'eye'}


class AllocationLimit(TorchDispatchMode):
    """A context in which tensors are made up to a number of values in all; one more is refused before it is made.

    Args:
        values: The number.
    """

    def __init__(self, values: int) -> None:
        super().__init__()
        self.values = self.left = values

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Count what a function that makes a tensor asks for, and run it."""
        name = func.overloadpacket.__name__
        if name in _SIZED:
            self._take(math.prod(next(arg for arg in args if isinstance(arg, list | tuple | torch.Size))))
        elif name in _COUNTED:
            self._take(int(max((abs(arg) for arg in args if isinstance(arg, int | float)), default=0)))
        return func(*args, **(kwargs or {}))

    def _take(self, number: int) -> None:
        self.left -= number
        if self.left < 0:
            raise CheckpointError(f'the model asks for more than {self.values:,} values, and the file holds far fewer')


def limit_of(checkpoint: Mapping[str, Any]) -> AllocationLimit:
    """Return the limit for building the model of a checkpoint: several times what its weights hold."""
    held = sum(value.numel() for value in checkpoint['state_dict'].values() if isinstance(value, Tensor))
    return AllocationLimit(8 * held + 2**26)
