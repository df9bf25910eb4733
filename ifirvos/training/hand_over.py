"""Strict loading of the previous stage's weights, except for keys that the config allows to differ."""

import re
import sys
from collections.abc import Mapping, Sequence

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ifirvos.checkpoint import NO_KNOWLEDGE, of_another_kind, with_own_buffers
from ifirvos.errors import CheckpointError
from ifirvos.registry import HOOKS


class HandOverError(CheckpointError):
    """The weights do not fit the model."""


@HOOKS.register_module()
class HandOverHook(Hook):
    """Checks every checkpoint that a Runner loads, key by key, where mmengine only warns.

    Reports all keys that are missing, unexpected or of another shape, and raises if any of them is not on a list. A
    checkpoint to resume from must fit completely.

    Args:
        allow_missing: Regular expressions for keys of the model that the weights need not have: new modules, which
            start at their initialisation. They match from the first letter on, such as ``vli[.]`` or
            ``decoder[.]layers[.]\\d+[.]ifi[.]``.
        allow_unexpected: The same for keys of the weights that the model does not have.
        drop: The same for keys that are not loaded although both have them. ReferFormer drops the class head before
            fine-tuning: ``bbox_head[.]cls_branches[.]``.
    """

    priority = 'VERY_LOW'  # after EMAHook, which swaps averaged and trained weights

    def __init__(
        self, allow_missing: Sequence[str] = (), allow_unexpected: Sequence[str] = (), drop: Sequence[str] = ()
    ) -> None:
        self.drop = tuple(drop)
        self.allowed = dict(missing=tuple(allow_missing), unexpected=tuple(allow_unexpected))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the weights before they are loaded.

        Raises:
            HandOverError: Names what does not fit.
        """
        given = {key.removeprefix('module.'): value for key, value in checkpoint['state_dict'].items()}
        wanted, kinds = shapes_of(runner.model), []
        if not _is_sharded(runner.model):
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            own = model.state_dict()
            checkpoint['state_dict'] = given = with_own_buffers(given, own)
            kinds = of_another_kind(given, own)
        differences = dict(missing=wanted.keys() - given.keys(), unexpected=given.keys() - wanted.keys())
        problems = [
            f'{key}: {tuple(given[key].shape)}, not {wanted[key]}'
            for key in sorted(wanted.keys() & given.keys())
            if wanted[key] is not None and given[key].shape != wanted[key]
        ] + kinds
        for kind, keys in differences.items():
            keys = {key for key in keys if not NO_KNOWLEDGE.fullmatch(key)}
            allowed = () if runner._resume else self.allowed[kind]
            on_list = sorted(key for key in keys if any(re.match(pattern, key) for pattern in allowed))
            if on_list:
                runner.logger.info(f'Hand-over: {len(on_list)} {kind} keys, as the config allows: {", ".join(on_list)}')
            problems += [f'{kind} {key}' for key in sorted(keys - set(on_list))]
        dropped = () if runner._resume else self._dropped(checkpoint['state_dict'])
        if problems:
            raise HandOverError(
                'The weights do not fit the model:\n  ' + '\n  '.join(problems) + '\nTrain this variant from weights '
                'of its own (tools/analysis_tools/ablate.py does), or list what may differ in '
                'default_hooks.hand_over.allow_missing and allow_unexpected.'
            )
        for key in dropped:
            del checkpoint['state_dict'][key]
        if dropped:
            runner.logger.info(f'Hand-over: {len(dropped)} keys dropped, as the config says: {", ".join(dropped)}')
        loaded = len((wanted.keys() & given.keys()) - {key.removeprefix('module.') for key in dropped})
        runner.logger.info(f'Hand-over: {loaded} of {len(wanted)} keys of the model loaded')

    def _dropped(self, state_dict: Mapping) -> list[str]:
        """Return the keys of the weights on the list ``drop``.

        Raises:
            HandOverError: A pattern matches none.
        """
        found = {
            pattern: [key for key in state_dict if re.match(pattern, key.removeprefix('module.'))]
            for pattern in self.drop
        }
        idle = [pattern for pattern, keys in found.items() if not keys]
        if idle:
            raise HandOverError(f'default_hooks.hand_over.drop names what the weights do not have: {idle}')
        return sorted(set().union(*found.values()))


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...] | None]:
    """Return the keys of a model's weights and their shapes; None for those sharded by FSDP."""
    if _is_sharded(model):  # its state_dict() gathers all weights in one process
        keys = {name.replace('_fsdp_wrapped_module.', '') for name, _ in model.named_parameters()}
        for prefix, module in model.named_modules():
            prefix = f'{prefix}.'.replace('_fsdp_wrapped_module.', '').removeprefix('.')
            keys |= {prefix + name for name in module._buffers if name not in module._non_persistent_buffers_set}
        return dict.fromkeys(keys)
    model = model.module if is_model_wrapper(model) else model
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _is_sharded(model: nn.Module) -> bool:
    fsdp = sys.modules.get('torch.distributed.fsdp')  # a second to import, and no model is sharded without
    return fsdp is not None and isinstance(model, fsdp.FullyShardedDataParallel)
