"""Mixed precision in bf16, on any device."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from ifirvos.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BF16OptimWrapper(OptimWrapper):
    """Runs the forward pass in bf16 autocast, without loss scaling, because bf16 has the range of fp32.

    mmengine's AmpOptimWrapper always scales the loss, and needs a GPU. Modules that need fp32 keep it by themselves:
    deformable attention (no bf16 kernel), LEwV and the losses.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the parent's."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=torch.bfloat16):
            yield
