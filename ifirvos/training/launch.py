"""From a command line to a config that runs on this machine."""

from pathlib import Path

import torch
from mmengine.config import Config

AMP = ('bf16', 'fp16')


def default_work_dir(config: str | Path) -> str:
    """Where a config's run goes unless told otherwise: ``work_dirs/`` and its path below ``configs``, less ``ifirvos``.

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
    """Where there is no GPU, several processes talk through gloo, and none of them gets a device."""
    if cfg.get('launcher', 'none') == 'none' or torch.cuda.is_available():
        return
    cfg.merge_from_dict(dict(env_cfg=dict(dist_cfg=dict(backend='gloo'))))
    if (cfg.get('strategy') or {}).get('type') == 'FSDPStrategy':
        cfg.merge_from_dict(dict(strategy=dict(model_wrapper=dict(device_id=None))))
    elif cfg.get('strategy') is None and cfg.get('model_wrapper_cfg') is None:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )


def set_amp(cfg: Config, kind: str) -> None:
    """Mixed precision: 'bf16', or 'fp16' with dynamic loss scaling.

    Raises:
        ValueError: If it is neither, or fp16 without a GPU.
    """
    if kind not in AMP:
        raise ValueError(f'--amp must be one of {AMP}, not {kind!r}')
    if kind == 'fp16' and not torch.cuda.is_available():
        raise ValueError('fp16 needs a GPU: --amp bf16 runs anywhere')
    wrapper = cfg.optim_wrapper
    if wrapper.type not in ('OptimWrapper', 'AmpOptimWrapper', 'BF16OptimWrapper'):
        raise ValueError(f'--amp cannot replace {wrapper.type}: set mixed precision in the config')
    if kind == 'bf16':
        wrapper.type = 'BF16OptimWrapper'
        wrapper.pop('loss_scale', None)
        wrapper.pop('dtype', None)
    else:
        wrapper.update(type='AmpOptimWrapper', dtype='float16')
        wrapper.setdefault('loss_scale', 'dynamic')
