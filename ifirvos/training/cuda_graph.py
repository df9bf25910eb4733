"""Training steps as one CUDA graph, for models so small that starting their kernels takes longer than their work."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.structures import TrackDataSample
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from ifirvos.errors import ModelError, one_line
from ifirvos.models import IFIRVOS, RobertaTextEncoder, RVOSHead
from ifirvos.registry import HOOKS
from ifirvos.structures import ClipTarget, constants_kept, to_device


@dataclass
class Batch:
    """A batch on the device, and what must be equal for two of them to be computed by the same graph."""

    tensors: dict[str, Tensor]
    clips: list[TrackDataSample]
    key: tuple


@contextmanager
def unseen_by_hooks(module: nn.Module | None) -> Iterator[None]:
    """Leave a module's forward hooks with the tensors that the graph writes: it does not call them again."""
    if module is None:
        yield
        return
    kept, module._forward_hooks = module._forward_hooks, OrderedDict()
    try:
        yield
    finally:
        module._forward_hooks = kept


class GraphedStep:
    """In place of ``model.train_step``: forward, losses and backward of equal batches as one CUDA graph.

    Equal are batches of as many clips of the same sizes, with the frames shared in the same way, of a model with the
    same parts frozen. The first two such batches that follow each other choose what is captured; all others take the
    usual step. The optimizer is not part of the graph. Hooks on modules and tensors run at capture only.

    Args:
        model: The model, on a GPU.
        text_length: Sentences are padded to this many tokens; a batch with a longer one takes the usual step.
    """

    SOON = 100  # steps after which it says that the graph is of little use

    def __init__(self, model: nn.Module, text_length: int = 32) -> None:
        self.model = model
        self.text_length = text_length
        self._constants: dict = {}
        self._batch: Batch | None = None  # what the graph reads
        self._logs: dict[str, Tensor] = {}  # what it writes, as the gradients
        self._grads: list[tuple[nn.Parameter, Tensor]] = []
        self._replay: Callable[[], Any] | None = None
        self._last_key: tuple | None = None
        self._steps = self._usual = 0

    def __call__(self, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """As mmengine's ``train_step``."""
        data = self.model.data_preprocessor(data, True)
        batch = self.prepare(data)
        key = None if batch is None else batch.key
        if self._replay is None and key is not None and key == self._last_key:
            self._begin(batch)
        self._last_key = key
        self._count(fits := self._replay is not None and key == self._batch.key)
        if not fits:
            return self._usual_step(data, optim_wrapper)
        for name, tensor in batch.tensors.items():
            self._batch.tensors[name].copy_(tensor)
        self._replay()
        for parameter, grad in self._grads:
            parameter.grad = grad
        optim_wrapper.step()
        return {name: value.clone() for name, value in self._logs.items()}

    def prepare(self, data: dict) -> Batch | None:
        """Return a preprocessed batch as the graph takes it; None if it cannot."""
        inputs, clips = data['inputs'], data['data_samples']
        special = {'key_frames_inds', 'text_tokens'}
        if any(special & set(clip.metainfo_keys()) or len(clip) != len(clips[0]) for clip in clips):
            return None
        head, height_width = self.model.bbox_head, inputs.shape[-2:]
        size = tuple(side // head.mask_head.stride for side in height_width)
        targets = head.targets(clips, size, inputs.device)
        tokens = self.model.text_encoder.tokenize([clip.text for clip in clips])
        missing = (0, self.text_length - tokens['input_ids'].shape[1])
        if missing[1] < 0:
            return None
        ids = F.pad(tokens['input_ids'], missing, value=self.model.text_encoder.pad_token_id)
        tensors = dict(
            inputs=inputs,
            masks=torch.cat([target.masks for target in targets]),
            boxes=torch.cat([target.boxes for target in targets]),
            valid=torch.stack([target.valid for target in targets]),
            input_ids=to_device(ids, inputs.device),
            attention_mask=to_device(F.pad(tokens['attention_mask'], missing), inputs.device),
        )
        shapes = tuple((name, tuple(tensor.shape)) for name, tensor in tensors.items())
        frames = tuple((clip.get('inputs_index'), clip[0].img_shape, clip[0].batch_input_shape) for clip in clips)
        learnt = tuple(parameter.requires_grad for parameter in self.model.parameters())
        modes = tuple(module.training for module in self.model.modules())
        return Batch(tensors, clips, (shapes, frames, learnt, modes))

    def _count(self, fits: bool) -> None:
        self._steps += 1
        self._usual += not fits
        if self._steps == self.SOON and 2 * self._usual > self._steps:
            print_log(
                f'{self._usual} of {self._steps} steps could not use a CUDA graph: batches differ in their sizes, or '
                'sentences are longer than text_length.',
                logger='current',
                level=logging.WARNING,
            )

    def _begin(self, batch: Batch) -> None:
        self._batch = Batch({name: tensor.clone() for name, tensor in batch.tensors.items()}, batch.clips, batch.key)
        kept = [buffer.clone() for buffer in self.model.buffers()]  # running statistics
        try:
            self._replay, self._logs = self.capture(self._loss_and_gradients)
        except RuntimeError as error:  # CUDA is in no state to go on
            raise ModelError(
                'The training step cannot be captured as a CUDA graph: train without CudaGraphHook. '
                f'{one_line(error, 300)}'
            ) from error
        for buffer, value in zip(self.model.buffers(), kept, strict=True):
            buffer.copy_(value)
        self._grads = [(p, p.grad) for p in self.model.parameters() if p.grad is not None]
        print_log('The training step is captured as a CUDA graph.', logger='current')

    def _loss_and_gradients(self) -> dict[str, Tensor]:
        """Compute what the graph computes, from the tensors that it reads."""
        given = self._batch.tensors
        parts = zip(given['masks'].split(1), given['boxes'].split(1), given['valid'], strict=True)
        tokens = {key: given[key] for key in ('input_ids', 'attention_mask')}
        with constants_kept(self._constants):
            losses = self.model.loss(
                given['inputs'], self._batch.clips, tokens=tokens, targets=[ClipTarget(*part) for part in parts]
            )
            total, logs = self.model.parse_losses(losses)
            total.backward()
        return {name: value.detach() for name, value in logs.items()}

    def capture(self, step: Callable[[], dict[str, Tensor]]) -> tuple[Callable[[], Any], dict[str, Tensor]]:
        """Return what runs a step again, on the same memory, and what the step returned."""
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        random_numbers = torch.cuda.get_rng_state()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(3):  # so that libraries choose their algorithms, and constants are on the device
                self.model.zero_grad(set_to_none=True)
                step()
        current.wait_stream(side)
        self.model.zero_grad(set_to_none=True)  # gradients in the graph's own memory, overwritten by every run
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode='thread_local'):  # a data loader's thread may pin memory
            logs = step()
        torch.cuda.set_rng_state(random_numbers)
        return graph.replay, logs

    def _usual_step(self, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        self.model.zero_grad(set_to_none=True)
        with unseen_by_hooks(getattr(self.model.vli, 'lewv', None) if self._replay else None):  # LEwVStatsHook
            losses = self.model(**data, mode='loss')
        total, logs = self.model.parse_losses(losses)
        optim_wrapper.update_params(total)
        return logs


@HOOKS.register_module()
class CudaGraphHook(Hook):
    """Trains with :class:`GraphedStep`, on one GPU in fp32: for small models, on batches of equal sizes.

    Off unless asked for, ``--cfg-options default_hooks.cuda_graph.type=CudaGraphHook``. Where it cannot be used, it
    says why and training goes on without it; if capturing fails, it ends. Resuming is exact without dropout only: the
    steps before the capture draw other random numbers.

    Args:
        text_length: See :class:`GraphedStep`.
    """

    def __init__(self, text_length: int = 32) -> None:
        self.text_length = text_length

    def before_train(self, runner: Runner) -> None:
        """Replace the model's step."""
        model, wrapper = runner.model, runner.optim_wrapper
        reason = None
        if not next(model.parameters()).is_cuda:
            reason = 'the model is not on a GPU'
        elif runner.distributed:
            reason = 'training is distributed'
        elif (type(model), type(getattr(model, 'text_encoder', None)), type(getattr(model, 'bbox_head', None))) != (
            IFIRVOS,
            RobertaTextEncoder,
            RVOSHead,
        ):
            reason = 'it takes IFIRVOS with RobertaTextEncoder and RVOSHead, no classes derived from them'
        elif not model.text_encoder.leaves_masks_unread:
            reason = 'it needs transformers 5, with sdpa attention in the text encoder'
        elif type(wrapper) is not OptimWrapper or wrapper._accumulative_counts != 1:
            reason = 'it takes a plain OptimWrapper: fp32, and no accumulation of gradients'
        if reason:
            print_log(f'No CUDA graph: {reason}.', logger='current')
        else:
            model.train_step = GraphedStep(model, self.text_length)

    def after_train(self, runner: Runner) -> None:
        """Give the model its own step back."""
        vars(runner.model).pop('train_step', None)
