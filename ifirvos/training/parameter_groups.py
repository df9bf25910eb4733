"""Parameters that are trained alike, in one group of the optimizer."""

from __future__ import annotations

import hashlib

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from ifirvos.registry import OPTIM_WRAPPER_CONSTRUCTORS

# Key of a group, saved with it: a digest of its parameters' names. The optimizer's state is by position alone.
DIGEST = 'parameters_digest'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GroupedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor, with one group for all parameters that have the same options.

    mmengine makes a group of every parameter where there is a ``paramwise_cfg``, and optimizers compute group by
    group: hundreds of small calls a step, where one call takes many tensors. The numbers stay the same, but for the
    last digits of the norm that clips gradients. A checkpoint keeps its groups, so it is resumed with the constructor
    and the ``paramwise_cfg`` it was trained with.
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

        Raises:
            ValueError: A parameter of the model has two names, and ``bypass_duplicate`` is off.
        """
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:
            return
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        groups: list[dict] = []
        for group in params:
            options = {key: value for key, value in group.items() if key != 'params'}
            for known in groups:
                if {key: value for key, value in known.items() if key != 'params'} == options:
                    known['params'] += group['params']
                    break
            else:
                groups.append({**options, 'params': list(group['params'])})
        held = [id(parameter) for group in groups for parameter in group['params']]
        if len(set(held)) < len(held):  # torch's error where each has a group; in one group it would step twice
            raise ValueError(
                'some parameters appear in more than one parameter group: set paramwise_cfg.bypass_duplicate'
            )
        for group in groups:
            listed = '\n'.join(names[id(parameter)] for parameter in group['params'])
            group[DIGEST] = hashlib.sha256(listed.encode()).hexdigest()[:16]
        params[:] = groups
