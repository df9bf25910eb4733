"""Turns a command line into a config for this machine."""

from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import all_gather_object

from ifirvos.errors import InputError

AMP = ('bf16', 'fp16')


def default_work_dir(config: str | Path) -> str:
    """Return the default work directory of a config: ``work_dirs/`` and its path below ``configs``, less ``ifirvos``.

    ``configs/ifirvos/r50_ytvos.py``: ``work_dirs/r50_ytvos``; ``configs/referformer/r50_ytvos.py``:
    ``work_dirs/referformer/r50_ytvos``, for configs of the same name must not overwrite each other. A config from
    elsewhere: its name.
    """
    parts = Path(config).with_suffix('').parts
    if 'configs' in parts:
        last = len(parts) - 1 - parts[::-1].index('configs')
        parts = parts[last + 1 :]
        parts = parts[1:] if parts[0] == 'ifirvos' and len(parts) > 1 else parts
    else:
        parts = parts[-1:]
    return str(Path('work_dirs', *parts))


def run_without_gpu(cfg: Config) -> None:
    """Use gloo for several processes without a GPU.

    Raises:
        ValueError: For a launcher other than torchrun: Slurm's and MPI's choose a GPU for every process.
    """
    if cfg.get('launcher', 'none') == 'none' or torch.cuda.is_available():
        return
    if cfg.launcher != 'pytorch':
        raise InputError(f'--launcher {cfg.launcher} needs GPUs, and there are none: --launcher pytorch runs on CPUs')
    cfg.merge_from_dict(dict(env_cfg=dict(dist_cfg=dict(backend='gloo'))))
    if (cfg.get('strategy') or {}).get('type') == 'AtomicFSDPStrategy':
        cfg.merge_from_dict(dict(strategy=dict(model_wrapper=dict(device_id='cpu'), state_dict_cfg=_whole_on_cpu())))
    elif cfg.get('strategy') is None:
        if cfg.get('model_wrapper_cfg') is None:  # mmengine's defaults
            cfg.model_wrapper_cfg = dict(
                type='MMDistributedDataParallel',
                broadcast_buffers=False,
                find_unused_parameters=cfg.get('find_unused_parameters', False),
            )
        cfg.model_wrapper_cfg.device_ids = None


def copy_without_waiting(cfg: Config) -> None:
    """Where there is a GPU, let loaders pin their batches, and copies to it go on while the GPU computes."""
    if not torch.cuda.is_available():
        return
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(name) is not None:
            cfg[name].setdefault('pin_memory', True)
    if cfg.get('model', {}).get('data_preprocessor') is not None:
        cfg.model.data_preprocessor.setdefault('non_blocking', True)


def _whole_on_cpu() -> dict:
    """FSDP's 'full' checkpoints less the move to the CPU: of what is there already it frees the memory."""
    options = dict(offload_to_cpu=False, rank0_only=False)
    return dict(
        _delete_=True,
        state_dict_type='FULL_STATE_DICT',
        state_dict_config=dict(type='FullStateDictConfig', **options),
        optim_state_dict_config=dict(type='FullOptimStateDictConfig', **options),
    )


def amp_without_gpu(cfg: Config) -> None:
    """Without a GPU, replace the config's AmpOptimWrapper by the bf16 wrapper that runs on a CPU.

    Raises:
        ValueError: It is in fp16, which is its default.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') != 'AmpOptimWrapper' or torch.cuda.is_available():
        return
    if wrapper.get('dtype') not in ('bfloat16', torch.bfloat16):
        raise InputError(
            "The config's AmpOptimWrapper computes in fp16, which needs a GPU: write dtype='bfloat16' in "
            'optim_wrapper, which runs anywhere, or --cfg-options optim_wrapper.dtype=bfloat16'
        )
    set_amp(cfg, 'bf16')


def join_processes(cfg: Config) -> None:
    """Initialise the process group without a GPU; with one, mmengine's Runner does.

    mmengine always sets a CUDA device first, which CPU builds of torch cannot do.
    """
    if cfg.get('launcher', 'none') != 'none' and not torch.cuda.is_available() and not dist.is_initialized():
        options = dict(cfg.env_cfg.dist_cfg)
        options['timeout'] = timedelta(seconds=options.get('timeout', 1800))
        dist.init_process_group(**options)


def check_common_start(cfg: Config) -> None:
    """Check that all processes begin with the same weights: each looks for a checkpoint to resume by itself.

    Raises:
        InputError: They do not, as on machines whose work directories are not the same.
    """
    starts = all_gather_object((bool(cfg.get('resume')), Path(cfg.get('load_from') or '').name))
    if len(set(starts)) > 1:
        ways = {
            'start anew' if not name else f'{"resume" if resume else "start from"} {name}' for resume, name in starts
        }
        raise InputError(
            f'The processes would not begin together: some {", others ".join(sorted(ways))}. The work directory '
            f'{cfg.work_dir} must be the same folder on all machines.'
        )


def set_amp(cfg: Config, kind: str) -> None:
    """Set mixed precision: 'bf16', or 'fp16' with dynamic loss scaling.

    Raises:
        ValueError: If it is neither, or fp16 without a GPU.
    """
    if kind not in AMP:
        raise InputError(f'--amp must be one of {AMP}, not {kind!r}')
    if kind == 'fp16' and not torch.cuda.is_available():
        raise InputError('fp16 needs a GPU: --amp bf16 runs anywhere')
    wrapper = cfg.optim_wrapper
    wrapper.setdefault('type', 'OptimWrapper')  # as in mmengine
    if wrapper.type not in ('OptimWrapper', 'AmpOptimWrapper', 'BF16OptimWrapper'):
        raise InputError(f'--amp cannot replace {wrapper.type}: set mixed precision in the config')
    if kind == 'bf16':
        wrapper.type = 'BF16OptimWrapper'
        wrapper.pop('loss_scale', None)
        wrapper.pop('dtype', None)
    else:
        wrapper.update(type='AmpOptimWrapper', dtype='float16')
        wrapper.setdefault('loss_scale', 'dynamic')
