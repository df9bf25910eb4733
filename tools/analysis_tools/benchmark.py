"""Benchmarks parts of ifirvos against straightforward implementations, in the same run.

    python tools/analysis_tools/benchmark.py targets     # what docs/performance.md promises
    python tools/analysis_tools/benchmark.py infer --stages
    python tools/analysis_tools/benchmark.py train --compare mode=straightforward mode=product
    python tools/analysis_tools/benchmark.py data CONFIG         # what each transform takes
    python tools/analysis_tools/benchmark.py video               # from a file to the masks on disk, by stage
    python tools/analysis_tools/benchmark.py metrics
    python tools/analysis_tools/benchmark.py checkouts OTHER     # against another checkout: training step, losses, demo
    python tools/analysis_tools/benchmark.py step        # a training step: kernel and PyTorch path, fp32 and bf16
    python tools/analysis_tools/benchmark.py hours CONFIG --seconds 0.5      # hours of a whole training

A subcommand is a function ``add_NAME(subcommands)`` that declares its arguments and sets ``run``, added to ``main``.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmark_checkouts import add_checkouts
from benchmark_data import add_data, add_video
from benchmark_model import add_infer, add_train
from benchmark_targets import add_targets
from benchmark_video import add_long_video, add_synth_video

from ifirvos_cli.common import add_config_options, main_of, positive_int, positive_number

if TYPE_CHECKING:
    import numpy as np
    import torch


def add_jf(subcommands) -> None:
    parser = subcommands.add_parser(
        'jf', aliases=['metrics'], help='J and F of a pair of masks, against the formula with dilations of full frames'
    )
    parser.add_argument('--size', type=positive_int, nargs=2, default=(480, 854), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--frames', type=positive_int, default=24, help='frames per clip')
    parser.add_argument(
        '--shares',
        type=positive_number,
        nargs='+',
        default=(0.02, 0.08, 0.25),
        help='share of the frame covered by the object',
    )
    parser.add_argument('--rounds', type=positive_int, default=15, help='repetitions; the best is reported')
    parser.set_defaults(run=run_jf)


def run_jf(args: argparse.Namespace) -> None:
    import cv2
    import numpy as np

    from ifirvos.evaluation.functional import contour_accuracy, region_similarity

    cv2.setNumThreads(1)
    height, width = args.size
    print(
        f'J and F, milliseconds per pair of masks {height}x{width} on one thread, alone and in clips of {args.frames}'
    )
    print(f'{"object":>8}{"dilation":>10}{"one frame":>11}{"clip":>8}{"ratio":>7}{"difference":>12}')
    for share in args.shares:
        gt, pred = mask_clip(args.frames, height, width, share)
        expected = np.array([dilation_jf(g, p) for g, p in zip(gt, pred, strict=True)]).T
        difference = np.abs([region_similarity(gt, pred), contour_accuracy(gt, pred)] - expected).max()
        straightforward, frame, clip = best_ms(
            lambda g=gt[0], p=pred[0]: dilation_jf(g, p),
            lambda g=gt[:1], p=pred[:1]: (region_similarity(g, p), contour_accuracy(g, p)),
            lambda g=gt, p=pred: (region_similarity(g, p), contour_accuracy(g, p)),
            rounds=args.rounds,
        )
        clip /= args.frames
        ratio = straightforward / clip
        print(f'{share:8.0%}{straightforward:10.2f}{frame:11.2f}{clip:8.2f}{ratio:6.1f}x{difference:12.1e}')


def mask_clip(num_frames: int, height: int, width: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Make a moving object with a wavy outline that covers ``share`` of the frame, and a slightly wrong prediction."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - height / 2, columns - width / 2) - np.sqrt(share * height * width / np.pi)
    waves, error = (cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), width / x) for x in (85, 170))
    outline = distance + waves / waves.std() * width / 85
    gt, pred = outline < 0, outline + 3 * error / error.std() < 2
    return tuple(np.stack([np.roll(mask, 3 * t, axis=1) for t in range(num_frames)]) for mask in (gt, pred))


def dilation_jf(gt: np.ndarray, pred: np.ndarray) -> tuple[float, float]:
    """J and F of two masks, bool (H, W), as their definition reads; neither is empty."""
    import cv2
    import numpy as np

    radius = int(np.ceil(0.008 * np.hypot(*gt.shape)))
    steps = np.arange(-radius, radius + 1)
    disk = (steps[:, None] ** 2 + steps**2 <= radius**2).astype(np.uint8)
    edges = []
    for mask in (gt, pred):
        padded = np.pad(mask, ((0, 1), (0, 1)), mode='edge')
        right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
        edges.append((mask ^ right) | (mask ^ below) | (mask ^ diagonal))
    gt_edges, pred_edges = edges
    precision = (pred_edges & cv2.dilate(gt_edges.astype(np.uint8), disk).astype(bool)).sum() / pred_edges.sum()
    recall = (gt_edges & cv2.dilate(pred_edges.astype(np.uint8), disk).astype(bool)).sum() / gt_edges.sum()
    return (gt & pred).sum() / (gt | pred).sum(), 2 * precision * recall / max(precision + recall, 1e-300)


def add_step(subcommands) -> None:
    parser = subcommands.add_parser(
        'step', help='seconds and memory of a training step, with the compiled deformable attention and without'
    )
    parser.add_argument('--config', type=Path, default=ROOT / 'configs/ifirvos/r50_ytvos.py')
    parser.add_argument('--frames', type=positive_int, default=6, help='frames per clip')
    parser.add_argument('--size', type=positive_int, nargs=2, default=(360, 640), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--clips', type=positive_int, default=1, help='clips per GPU')
    parser.add_argument(
        '--iterations',
        type=positive_int,
        default=10,
        help='iterations, after 3 warm-up iterations; the median is reported',
    )
    parser.add_argument('--device', help='default: a GPU if there is one')
    parser.add_argument('--with-cp', action='store_true', help='gradient checkpointing of backbone and encoder')
    parser.add_argument('--shrink', action='store_true', help='a tiny model, to try the command itself')
    parser.set_defaults(run=run_step)


def run_step(args: argparse.Namespace) -> None:
    import torch

    device = torch.device(args.device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    # By way of ifirvos, which makes mmcv importable, and switches its flag off, where there is no kernel.
    from ifirvos.models.deformable_attention import multi_scale_deform_attn as msda

    paths = ['kernel', 'PyTorch'] if device.type == 'cuda' and msda.IS_CUDA_AVAILABLE else ['PyTorch']
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else f'{torch.get_num_threads()} CPU threads'
    size = f'{args.size[0]}x{args.size[1]}'
    print(
        f'{args.config.name}, {args.clips} clips of {args.frames} frames {size}, on {name}, torch {torch.__version__}'
    )
    print(f'{"attention":>10}{"dtype":>7}{"s/step":>9}{"peak GiB":>10}{"loss":>10}')
    model, data = step_model(
        args.config, args.frames, tuple(args.size), args.shrink, device, clips=args.clips, with_cp=args.with_cp
    )
    if device.type == 'cpu':
        from ifirvos.models.winograd import filter_minimally

        filter_minimally(model)  # as ifirvos_cli.train
    available, outputs = msda.IS_CUDA_AVAILABLE, {}
    try:
        for path in paths:
            msda.IS_CUDA_AVAILABLE = available and path == 'kernel'
            for dtype in (torch.float32, torch.bfloat16):
                seconds, gib, loss = _time_step(model, data, device, dtype, args.iterations)
                peak = f'{gib:.2f}' if gib is not None else '-'
                print(
                    f'{path:>10}{"fp32" if dtype == torch.float32 else "bf16":>7}{seconds:9.3f}{peak:>10}{loss:10.4f}'
                )
            outputs[path] = _outputs_and_gradients(model, data)
    finally:
        msda.IS_CUDA_AVAILABLE = available
    if len(paths) == 1:
        print(f'No compiled deformable attention for {device.type} here: tools/install_mmcv_ops.sh adds it.')
        return
    for what, allowed in (('outputs', 1e-4), ('gradients', 1e-3)):
        worst = max(
            float((a - b).abs().max() / b.abs().max().clamp(min=1e-6))
            for a, b in zip(outputs['kernel'][what], outputs['PyTorch'][what], strict=True)
        )
        print(f'{what}: kernel and PyTorch differ by {worst:.1e} of the largest value, allowed {allowed:.0e}')
        if worst > allowed:
            raise SystemExit(1)


def step_model(
    config: Path,
    frames: int,
    size: tuple[int, int],
    shrunk: bool,
    device: torch.device,
    clips: int = 1,
    with_cp: bool = False,
    dropout: bool = False,
) -> tuple[torch.nn.Module, dict]:
    """Return the model in training mode with weights from no file, with its dropout or without; a batch of noise."""
    import torch
    from mmengine.config import Config
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope

    from ifirvos.registry import MODELS
    from ifirvos.testing import demo_rvos_inputs, shrink

    cfg = shrink(config) if shrunk else Config.fromfile(config)
    init_default_scope('mmdet')
    cfg.model.backbone.init_cfg = None
    if not shrunk:  # roberta-base's size, without its files
        text = dict(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1)
        cfg.model.text_encoder.update(name='synth_tokenizer', pretrained=False, config=text)
    if with_cp:
        cfg.merge_from_dict(dict(model=dict(backbone=dict(with_cp=True), encoder=dict(with_cp=True))))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')  # else it says how each of 700 parameters was initialised
    model.init_weights()
    logger.setLevel(level)
    model.to(device).train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout) and not dropout:
            module.p = 0.0
        elif isinstance(module, torch.nn.MultiheadAttention) and not dropout:
            module.dropout = 0.0
        elif hasattr(module, 'sampling_offsets'):
            # As initialised it samples at the centres of pixels, where bilinear sampling has a kink: its gradient there
            # is a matter of rounding.
            torch.nn.init.uniform_(module.sampling_offsets.bias, -2, 2)
    raw = demo_rvos_inputs(num_clips=clips, num_frames=frames, sizes=size)
    if not shrunk:  # ids, for the tokenizer that ships does not fit a vocabulary of roberta-base's size
        for sample in raw['data_samples']:
            sample.set_metainfo(dict(text_tokens=dict(input_ids=[0, *range(100, 108), 2], attention_mask=[1] * 10)))
    return model, model.data_preprocessor(raw, True)


def _time_step(
    model, data: dict, device: torch.device, dtype: torch.dtype, iterations: int
) -> tuple[float, float, float]:
    """Median seconds of forward, backward and AdamW; peak memory in GiB, None without a GPU; the last loss."""
    import numpy as np
    import torch

    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.0)  # the same loss in every row
    seconds = []
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(iterations + 3):
        start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = sum(model(**data, mode='loss').values())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 0.1)
        optimizer.step()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == 'cuda' else None
    return float(np.median(seconds[3:])), peak, float(loss.detach())


def _outputs_and_gradients(model, data: dict) -> dict[str, list[torch.Tensor]]:
    """In fp32, convolutions too: all outputs, and the gradient of the loss by every parameter."""
    import torch

    model.zero_grad()
    with torch.backends.cudnn.flags(allow_tf32=False):
        with torch.no_grad():
            outputs = model(**data, mode='tensor')
        sum(model(**data, mode='loss').values()).backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    return dict(outputs=list(outputs.values()), gradients=gradients)


def add_hours(subcommands) -> None:
    parser = subcommands.add_parser('hours', help="steps of a config's training, and hours for given seconds per step")
    parser.add_argument('config', type=Path)
    parser.add_argument('--gpus', type=positive_int, default=8)
    parser.add_argument('--seconds', type=positive_number, help='seconds per step, as measured by `step`')
    add_config_options(parser)
    parser.set_defaults(run=run_hours)


def run_hours(args: argparse.Namespace) -> None:
    from ifirvos.config import load_config
    from ifirvos.registry import DATASETS

    cfg = load_config(args.config, args.cfg_options, args.data_root, ('train',), args.allow_unknown)
    loader, loop = cfg.train_dataloader, cfg.train_cfg
    records = len(DATASETS.build(loader.dataset))
    per_epoch = math.ceil(records / args.gpus / loader.batch_size)
    steps = loop.max_iters if 'max_iters' in loop else loop.max_epochs * per_epoch
    line = (
        f'{records} records, {args.gpus} GPUs with {loader.batch_size} each: {per_epoch} steps an epoch, {steps} in all'
    )
    print(line if args.seconds is None else f'{line}, {steps * args.seconds / 3600:.1f} hours')


def best_ms(*functions: Callable[[], object], rounds: int) -> list[float]:
    """Return the shortest time of each function in time of this thread: other load hardly counts."""
    times = [[] for _ in functions]
    for _ in range(rounds):
        for function, seconds in zip(functions, times, strict=True):
            start = time.thread_time()
            function()
            seconds.append(time.thread_time() - start)
    return [1000 * min(seconds) for seconds in times]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subcommands = parser.add_subparsers(required=True, metavar='WHAT')
    add_targets(subcommands)
    add_infer(subcommands)
    add_train(subcommands)
    add_data(subcommands)
    add_video(subcommands)
    add_jf(subcommands)
    add_long_video(subcommands)
    add_synth_video(subcommands)
    add_checkouts(subcommands)
    add_step(subcommands)
    add_hours(subcommands)
    args = parser.parse_args(argv)
    args.run(args)


if __name__ == '__main__':
    sys.exit(main_of(main))
