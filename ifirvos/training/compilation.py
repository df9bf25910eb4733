"""Parts of the model compiled for training by torch.compile."""

import logging
from collections.abc import Callable, Sequence

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ifirvos.errors import InputError, one_line
from ifirvos.registry import HOOKS

# What gained in a step of r18_synth.py. VLI and the head, whose loss chooses queries, gained nothing.
PARTS = ('backbone', 'encoder', 'decoder', 'pixel_decoder')
TOKENS = 16  # sentences are padded to a multiple of so many, so that there are few lengths


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles parts of the model for training, each by itself; in validation they are as they were.

    mmengine's ``compile=True`` takes the whole step, which lists of data samples break into many pieces. The first
    steps take minutes. It is meant for batches of equal sizes: each new size is compiled anew, and after eight of them
    further ones are not. Sentences are padded to a multiple of 16 tokens; not ``text_tokens``, nor where the text
    encoder's ``max_length`` is no such multiple. Outputs and gradients differ by rounding; dropout draws other random
    numbers. Where nothing can be compiled at all it says why, and training goes on without; a part that cannot be
    compiled ends it.

    Off unless asked for, ``--cfg-options default_hooks.compile.type=CompileHook``.

    Args:
        parts: Names of the submodules.

    Raises:
        InputError: The model has no such submodule.
    """

    def __init__(self, parts: Sequence[str] = PARTS) -> None:
        self.parts = tuple(dict.fromkeys([parts] if isinstance(parts, str) else parts))
        self._compiled: list[tuple[nn.Module, Callable]] = []
        self._text_encoder: nn.Module | None = None

    def before_train(self, runner: Runner) -> None:
        """Compile the parts, which happens when they are called."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        known = dict(model.named_modules())
        if unknown := [name for name in self.parts if name not in known]:
            raise InputError(f'CompileHook: the model has no submodule {unknown[0]!r}.')
        if reason := why_not(next(model.parameters()).device):
            print_log(f'Nothing is compiled: {reason}', logger='current', level=logging.WARNING)
            return
        # Every size by itself: code that several share depends on which came first, and a resumed run on its start.
        self._compiled = [(known[name], torch.compile(known[name].forward, dynamic=False)) for name in self.parts]
        encoder = getattr(model, 'text_encoder', None)
        self._text_encoder = encoder if hasattr(encoder, 'pad_to_multiple_of') else None
        print_log(f'Compiling {", ".join(self.parts)}: the first steps take minutes.', logger='current')
        self._switch(True)

    def before_val(self, runner: Runner) -> None:
        """Take the parts as they are: clips of other lengths would be compiled again."""
        self._switch(False)

    def after_val(self, runner: Runner) -> None:
        """Go on with what is compiled."""
        self._switch(True)

    def after_train(self, runner: Runner) -> None:
        """Give the model its own parts back."""
        self._switch(False)
        self._compiled, self._text_encoder = [], None

    def _switch(self, compiled: bool) -> None:
        for module, forward in self._compiled:
            if compiled:
                module.forward = forward
            else:
                vars(module).pop('forward', None)
        if self._text_encoder is not None:
            self._text_encoder.pad_to_multiple_of = TOKENS if compiled else None


def why_not(device: torch.device) -> str | None:
    """Return why torch.compile does not work on a device; None if it does."""
    try:
        torch.compile(lambda x: x + 1, dynamic=False)(torch.zeros(2, device=device))
    except Exception as error:  # no compiler, one that fails, no Triton: each with its own kind
        return f'torch.compile fails here. {one_line(error, 200)}'
    return None
