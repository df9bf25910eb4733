"""Logs the scale and spread of LEwV's outputs during training."""

from collections import deque

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from ifirvos.registry import HOOKS


@HOOKS.register_module()
class LEwVStatsHook(Hook):
    """Logs the rms of LEwV's words after each iteration and the spread of the sentences.

    Logged as ``lewv/rms_0`` … and ``lewv/spread``, over the batch of a process, or with one clip over the last 16.

    The product of eq. 2 shrinks the words about fiftyfold at initialisation, and can grow without bound when trained
    from scratch; a saturated tanh after it gives every sentence the same query (spread near 0).

    Args:
        interval: Log every ``interval`` training iterations.
    """

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self._texts = self._sentence = None  # of the last forward in training, which a CUDA graph may write anew
        self._sentences = deque(maxlen=16)

    def before_train(self, runner: Runner) -> None:
        """Register a hook on LEwV, if the model has one."""
        vli = getattr(getattr(runner.model, 'module', runner.model), 'vli', None)
        lewv = getattr(vli, 'lewv', None)
        if lewv is not None:
            lewv.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, args: tuple, output: tuple[list[Tensor], Tensor]) -> None:
        if module.training:
            self._texts, self._sentence = [text.detach() for text in output[0]], output[1].detach()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Log the statistics."""
        if self._texts is None:
            return
        if len(self._sentence) == 1:
            self._sentences.append(self._sentence.clone())
        if not self.every_n_train_iters(runner, self.interval):
            return
        for iteration, text in enumerate(self._texts):
            rms = text[:, 0].square().mean().sqrt()  # of the token that is pooled
            runner.message_hub.update_scalar(f'train/lewv/rms_{iteration}', rms.item())
        sentences = self._sentence if len(self._sentence) > 1 else torch.cat(tuple(self._sentences))
        if len(sentences) > 1:
            spread = sentences.std(0, correction=0).mean()
            runner.message_hub.update_scalar('train/lewv/spread', spread.item())
