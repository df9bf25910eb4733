"""Sharded parameters (FSDP): which modules are sharded, and gradient clipping."""

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapper
from mmengine.registry import FUNCTIONS  # mmdet has none
from torch import nn

from ifirvos.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class ShardedOptimWrapper(OptimWrapper):
    """mmengine's OptimWrapper that clips by the norm over all processes.

    mmengine's uses the norm of the process's own part of the gradient, so that with FSDP every process would clip by a
    different factor. The norm is the 2-norm.
    """

    def _clip_grad(self) -> None:
        grads = [p.grad for group in self.optimizer.param_groups for p in group['params'] if p.grad is not None]
        device = self.optimizer.param_groups[0]['params'][0].device
        square = torch.zeros((), device=device)
        for grad in grads:
            square += grad.float().square().sum()
        all_reduce(square, 'sum')
        norm = square.sqrt()
        factor = (self.clip_grad_kwargs['max_norm'] / (norm + 1e-6)).clamp(max=1)
        for grad in grads:
            grad.mul_(factor)
        self.message_hub.update_scalar('train/grad_norm', float(norm))


@FUNCTIONS.register_module()
def wrap_by_class_name(module: nn.Module, recurse: bool, nonwrapped_numel: int, names: Sequence[str]) -> bool:
    """Return a wrapping policy for FSDP: modules whose class has one of these names become units."""
    return recurse or type(module).__name__ in names
