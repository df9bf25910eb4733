"""What each stage of a run takes: seconds, CPU seconds, page faults, FLOPs."""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch


def usage() -> tuple[float, int]:
    """Return CPU seconds and page faults of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_minflt


def matrix_rate(side: int = 2048) -> float:
    """Return GFLOP/s of fp32 matrix products, the best of three."""
    import torch

    a, b = torch.rand(side, side), torch.rand(side, side)
    best = float('inf')
    for _ in range(3):
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best / 1e9


def by_stage(run: Callable[[], object], model) -> dict[str, dict[str, float]]:
    """Return what each stage takes without the stages inside it, of one run for time and one for FLOPs."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

    def _conv_flop(image, weight, *args, out_shape, **kwargs) -> int:
        return conv_flop_count(image, weight, out_shape)

    timed = defaultdict(lambda: defaultdict(float))

    def clock() -> dict[str, float]:
        cpu, faults = usage()
        return dict(wall=time.perf_counter(), cpu=cpu, page_faults=faults)

    with _watched(model, timed, clock):
        run()
    if not model.training:
        model.requires_grad_(False)  # the counter of FLOPs would hook gradients that inference has not
    # The arithmetic of the convolution, however it is computed.
    winograd = {torch.ops.aten._nnpack_spatial_convolution: _conv_flop}
    counter = FlopCounterMode(display=False, custom_mapping=winograd)
    with counter, _watched(model, timed, lambda: dict(gflop=counter.get_total_flops() / 1e9)):
        run()
    return {name: {key: stage[key] for key in ('wall', 'cpu', 'page_faults', 'gflop')} for name, stage in timed.items()}


@contextmanager
def watched(owner: object, attribute: str, stage: str, seconds: dict[str, float]) -> Iterator[None]:
    """Let a method of an object or a class add to ``seconds`` what it takes; a generator, what its items take."""
    method = getattr(owner, attribute)

    def items(made: Iterator) -> Iterator:
        while True:
            began = time.perf_counter()
            try:
                item = next(made)
            except StopIteration:
                return
            finally:
                seconds[stage] += time.perf_counter() - began
            yield item

    def watching(*args, **kwargs):
        began = time.perf_counter()
        try:
            found = method(*args, **kwargs)
        finally:
            seconds[stage] += time.perf_counter() - began
        return items(found) if isinstance(found, Generator) else found

    with patch.object(owner, attribute, watching):
        yield


@contextmanager
def _watched(model, totals: dict, clock: Callable[[], dict[str, float]]) -> Iterator[None]:
    """Let every stage add to ``totals`` what ``clock`` counts while it runs; stages inside a stage are not its own."""
    inside: list[dict[str, float]] = []

    def watch(owner: object, attribute: str, stage: str):
        wrapped = getattr(owner, attribute)

        def watching(*args, **kwargs):
            begun, of_others = clock(), defaultdict(float)
            inside.append(of_others)
            try:
                return wrapped(*args, **kwargs)
            finally:
                inside.pop()
                for key, value in clock().items():
                    totals[stage][key] += value - begun[key] - of_others[key]
                    if inside:
                        inside[-1][key] += value - begun[key]

        return patch.object(owner, attribute, watching)

    patches = [
        watch(model.backbone, 'forward', 'backbone'),
        watch(model.neck, 'forward', 'neck'),
        watch(model, 'encode_text', 'text'),
        watch(model, 'interact', 'VLI'),
        watch(model, 'forward_encoder', 'encoder, rest'),
        watch(model, 'forward_decoder', 'decoder'),
        watch(model.pixel_decoder, 'fuse', 'pixel decoder'),
        watch(model.bbox_head.mask_head, 'forward', 'mask head'),
        watch(model.bbox_head, 'to_original_size', 'masks to original size'),
    ]
    for layer in model.encoder.layers:
        patches += [
            watch(layer.self_attn, 'forward', 'encoder, deformable attention'),
            watch(layer.ffn, 'forward', 'encoder, FFN'),
        ]
    for block in model.pixel_decoder.blocks:
        patches += [
            watch(block.ffn, 'forward', 'pixel decoder, FFN'),
            watch(block.self_attn, 'forward', 'pixel decoder, attention'),
            watch(block.cross_attn, 'forward', 'pixel decoder, attention'),
        ]
    fpn = model.pixel_decoder
    convolutions = [*fpn.fpn_convs, *fpn.lateral_convs, fpn.mask_features]
    patches += [watch(module, 'forward', 'pixel decoder, convolutions') for module in convolutions]
    with ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        yield
