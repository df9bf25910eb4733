"""A shrunk model whose output is no matter of chance, and batches for it."""

from copy import deepcopy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from ifirvos.registry import MODELS
from ifirvos.testing import demo_rvos_inputs, shrink

CONFIGS = Path(__file__).parents[2] / 'configs'


def model_config(config: str = 'ifirvos/r50_ytvos.py', dropout: bool = False) -> Config:
    return shrink(CONFIGS / config, dropout)


def build(cfg: Config, seed: int = 0) -> nn.Module:
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    model = MODELS.build(deepcopy(cfg.model))
    model.init_weights()
    model.train()
    return model


def batch(model: nn.Module, seed: int = 0, clips: slice = slice(None), **kwargs) -> dict:
    """The same two clips for the same seed, or some of them, preprocessed for training."""
    torch.manual_seed(seed)
    raw = demo_rvos_inputs(num_clips=2, num_frames=2, **kwargs)
    return model.data_preprocessor({key: value[clips] for key, value in raw.items()}, True)


def losses_and_gradients(model: nn.Module, data: dict, **autocast) -> tuple[dict, dict]:
    model.zero_grad()
    torch.manual_seed(1)  # of the dropout
    with torch.autocast('cpu', enabled=bool(autocast), **autocast):
        losses = model(**data, mode='loss')
    sum(losses.values()).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
    return {name: value.detach() for name, value in losses.items()}, gradients
