"""Stops training at a NaN or infinite loss, and names the files of the batch."""

import math

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ifirvos.registry import HOOKS

from .agreement import happened_anywhere


class NonFiniteLoss(RuntimeError):
    """A loss or gradient that is NaN or infinite."""


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Checks the losses of every iteration in all processes, and the gradient norm if gradients are clipped.

    It runs before anything that saves or averages weights, so the last checkpoint stays good. With dynamic loss
    scaling, overflowing gradients are handled by the scaler, and only the losses are checked.
    """

    priority = 'VERY_HIGH'
    _bad = False

    def happened(self) -> bool:
        """Return whether a loss of this iteration is no number in this process."""
        return self._bad

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Raise NonFiniteLoss, in all processes if it happens in one."""
        names = [name for name in outputs or {} if 'loss' in name]
        values = torch.stack([outputs[name].detach().float() for name in names]).tolist() if names else []
        bad = {name: value for name, value in zip(names, values, strict=True) if not math.isfinite(value)}
        self._bad = bool(bad)
        anywhere = happened_anywhere(runner, self)
        if not anywhere and not hasattr(runner.optim_wrapper, 'loss_scaler'):
            norm = runner.message_hub.log_scalars.get('train/grad_norm')
            if norm is not None and not math.isfinite(norm.current()):
                anywhere, bad = True, {'grad_norm': norm.current()}
        if not anywhere:
            return
        what = ', '.join(f'{name} is {value}' for name, value in bad.items()) or 'finite here, but not in every process'
        raise NonFiniteLoss(
            f'Iteration {runner.iter + 1}, process {get_rank()}: {what}. The batch:\n{describe_batch(data_batch)}\n'
            'Nothing was saved of this iteration: the last checkpoint in the work directory is from before.'
        )


def describe_batch(data_batch: dict | None) -> str:
    """Format a clip as a paragraph: ids, sentence, and the files of its frames."""
    lines = []
    for clip in (data_batch or {}).get('data_samples', []):
        lines.append(f'  video {clip.get("video_id")!r}, expression {clip.get("exp_id")!r}: {clip.get("text")!r}')
        lines += [f'    {frame.get("img_path")}' for frame in clip.video_data_samples]
    return '\n'.join(lines) or '  (unknown)'
