"""Mixed precision in bf16, on any device."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from ifirvos.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BF16OptimWrapper(OptimWrapper):
    """The forward pass under bf16 autocast; no loss scaling, since bf16 reaches as far as fp32.

    mmengine's AmpOptimWrapper always scales the loss, and refuses to run without a GPU. Modules that cannot do with
    bf16 keep fp32 by themselves: deformable attention (no such kernel), LEwV and the losses.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the parent's."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=torch.bfloat16):
            yield
