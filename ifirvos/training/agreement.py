"""What happened in any process: one exchange an iteration for all hooks that ask."""

from typing import Protocol

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.runner import Runner


class Asking(Protocol):
    """A hook that wants to know whether something happened in any process."""

    def happened(self) -> bool:
        """Return whether it happened in this one."""


def happened_anywhere(runner: Runner, asking: Asking) -> bool:
    """Return whether ``asking.happened()`` is true in any process.

    The first hook of an iteration that asks exchanges the answers of all, so that processes wait for one another once;
    what happens to a later one after that shows an iteration later. All processes have the same hooks.
    """
    if get_world_size() == 1:
        return asking.happened()
    iteration, known = getattr(runner, '_happened_anywhere', (None, {}))
    if iteration != runner.iter or asking not in known:
        others = [hook for hook in runner.hooks if hasattr(hook, 'happened') and hook is not asking]
        hooks = [asking, *others]
        flags = torch.tensor([float(hook.happened()) for hook in hooks])
        all_reduce(flags, 'max')
        known = {hook: bool(flag) for hook, flag in zip(hooks, flags.tolist(), strict=True)}
        runner._happened_anywhere = (runner.iter, known)
    return known[asking]
