"""Parameters that are trained alike, in one group of the optimizer."""

from __future__ import annotations

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from ifirvos.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GroupedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor, with one group for all parameters that have the same options.

    mmengine makes a group of every parameter where there is a ``paramwise_cfg``, and optimizers compute group by
    group: hundreds of small calls a step, where one call takes many tensors. The numbers stay the same. A checkpoint
    keeps its groups, so it is resumed with the constructor it was trained with.
    """

    def add_params(
        self, params: list[dict], module: nn.Module, prefix: str = '', is_dcn_module: bool | None = None
    ) -> None:
        """Add a module's parameters, and those of its children; the call for the whole model puts equal ones together.

        Args:
            params: The groups so far, changed in place.
            module: Whose parameters are added.
            prefix: The module's name in the model; empty for the model itself.
            is_dcn_module: Whether the module belongs to a deformable convolution.
        """
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:
            return
        groups: list[dict] = []
        for group in params:
            options = {key: value for key, value in group.items() if key != 'params'}
            for known in groups:
                if {key: value for key, value in known.items() if key != 'params'} == options:
                    known['params'] += group['params']
                    break
            else:
                groups.append({**options, 'params': list(group['params'])})
        params[:] = groups
