"""mmengine's strategies for models too large for one GPU, made consistent with its Runner."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine._strategy import DeepSpeedStrategy, FSDPStrategy
from mmengine.config import ConfigDict
from mmengine.dist import is_main_process
from mmengine.model.wrappers import MMFullyShardedDataParallel
from mmengine.optim import BaseOptimWrapper
from mmengine.runner.checkpoint import _load_checkpoint_to_model

from ifirvos.checkpoint import load_checkpoint, runners_own_allowed
from ifirvos.files import unfinished, written_whole
from ifirvos.registry import STRATEGIES


@STRATEGIES.register_module()
class AtomicFSDPStrategy(FSDPStrategy):
    """mmengine's FSDPStrategy with atomic full checkpoints that can be resumed.

    mmengine's ignores the backend of the checkpoint hook. Sharded checkpoints ('local') are folders with a file per
    process.
    """

    def save_checkpoint(self, filename: str, **kwargs: Any) -> None:
        """Write atomically: if it fails, the old file remains."""
        if not self._is_full_state_dict():
            super().save_checkpoint(filename, **kwargs)
            return
        if not is_main_process():  # it participates in gathering the weights; the main process writes them
            super().save_checkpoint(str(unfinished(filename)), **kwargs)
            return
        with written_whole(filename) as part:
            super().save_checkpoint(str(part), **kwargs)

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """As mmengine's, whose order of arguments is that of torch 2.0 and fails with later versions."""
        loaded = MMFullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model, optim=self.optim_wrapper.optimizer, optim_state_dict=state_dict
        )
        self.optim_wrapper.load_state_dict(loaded)


@STRATEGIES.register_module()
class HandOverDeepSpeedStrategy(DeepSpeedStrategy):
    """mmengine's DeepSpeedStrategy that can start from the weights of another stage, a file.

    Its own checkpoints are read with ``weights_only=True`` where ``make_runners_load_safely`` has been called.
    """

    def __init__(self, **kwargs: Any) -> None:
        # DeepSpeed keeps its options in every checkpoint: plain data can be read safely, mmengine's dicts cannot.
        plain = {name: value.to_dict() if isinstance(value, ConfigDict) else value for name, value in kwargs.items()}
        super().__init__(**plain)

    def build_optim_wrapper(self, *args: Any, **kwargs: Any) -> BaseOptimWrapper:
        """As mmengine's, and scale the rate (``auto_scale_lr``), which its other strategies do and this one forgets."""
        self.optim_wrapper = super().build_optim_wrapper(*args, **kwargs)
        self._scale_lr()
        return self.optim_wrapper

    def load_checkpoint(self, filename: str, *, strict: bool = False, callback: Any = None, **kwargs: Any) -> dict:
        """Return the weights of ``filename``; ``callback`` gets the checkpoint first, to check the keys.

        As in mmengine's Runner, mismatches are logged, and are an error with ``strict``.
        """
        if os.path.isdir(filename):
            with _own_allowed():
                return super().load_checkpoint(filename, strict=strict, callback=callback, **kwargs)
        checkpoint = load_checkpoint(Path(filename).expanduser())
        if callback is not None:
            callback(checkpoint)
        _load_checkpoint_to_model(self.model.module, checkpoint, strict)
        if hasattr(self.model.optimizer, 'refresh_fp32_params'):
            self.model.optimizer.refresh_fp32_params()  # ZeRO updates its own copy
        return checkpoint

    def resume(self, filename: str, **kwargs: Any) -> dict:
        """As mmengine's; DeepSpeed's files may contain only what a Runner's contain, nothing that could run code."""
        with _own_allowed():
            return super().resume(filename, **kwargs)


@contextmanager
def _own_allowed() -> Iterator[None]:
    """Allow what DeepSpeed itself puts into a checkpoint, beside what a Runner does."""
    from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler, LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    own = [DynamicLossScaler, LossScaler, ZeroStageEnum, fragment_address]
    with runners_own_allowed(), torch.serialization.safe_globals(own):
        yield
