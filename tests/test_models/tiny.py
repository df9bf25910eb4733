"""The full method of ``configs/_base_/models/ifirvos_r50.py``, a few thousand times smaller, and clips for it."""

from pathlib import Path

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ifirvos.testing import SIZES, WIDTH, shrink

BASE = Path(__file__).parents[2] / 'configs/_base_/models/ifirvos_r50.py'
C, QUERIES, LAYERS = WIDTH, 3, SIZES['num_layers']
CHANGES = dict(
    num_queries=QUERIES,
    backbone=dict(frozen_stages=-1),
    text_encoder=dict(frozen=False),
    encoder=dict(num_layers=1),
    test_cfg=dict(frame_chunk=None),
)


def tiny_model(**overrides) -> nn.Module:
    """Builds and initialises the model, in float64 (what is equal is then equal to 1e-10) and in evaluation mode.

    Args:
        **overrides: Dotted config keys with ``__`` for the dots, as ``decoder__layer_cfg__ifi_cfg=None``.
    """
    config = shrink(BASE, dropout=False)
    config.merge_from_dict(dict(model=CHANGES))
    config.merge_from_dict({'model.' + key.replace('__', '.'): value for key, value in overrides.items()})
    model = MODELS.build(config.model)
    model.init_weights()
    randomise(model.bbox_head)
    model.double().eval()
    return model


def randomise(head: nn.Module) -> None:
    """Box branches start at zero and masks flat: move them, so that every output depends on its inputs."""
    for branch in head.reg_branches:
        nn.init.normal_(branch[-1].weight, std=0.3)
    nn.init.normal_(head.controller.layers[-1].weight, std=0.05)


def frames(num_clips: int = 1, num_frames: int = 3, size: tuple[int, int] = (64, 96)) -> Tensor:
    """(B,T,3,H,W) noise."""
    return torch.randn(num_clips, num_frames, 3, *size, dtype=torch.float64)


def clip(
    inputs: Tensor,
    text: str = 'the red circle',
    size: tuple[int, int] | None = None,
    present: list[bool] | None = None,
    original_size: tuple[int, int] | None = None,
) -> TrackDataSample:
    """A clip of ``inputs`` (B,T,3,H,W) whose unpadded frames are ``size``; with ``present`` (T,) it has ground truth: a
    box that moves to the right, in the frames where it is present."""
    padded = tuple(inputs.shape[-2:])
    height, width = size = size or padded
    sample = TrackDataSample(metainfo=dict(text=text))
    clip_frames = []
    for t in range(inputs.shape[1]):
        meta = dict(img_shape=size, ori_shape=original_size or size, batch_input_shape=padded)
        frame = DetDataSample(metainfo=meta)
        if present is not None:
            count = int(present[t])
            mask = np.zeros((count, height, width), np.uint8)
            mask[:, 8:40, 8 + 4 * t : 32 + 4 * t] = 1
            box = torch.tensor([[8.0 + 4 * t, 8, 32 + 4 * t, 40]])[:count]
            frame.gt_instances = InstanceData(
                bboxes=box, labels=torch.zeros(count, dtype=torch.long), masks=BitmapMasks(mask, height, width)
            )
        clip_frames.append(frame)
    sample.video_data_samples = clip_frames
    return sample


@torch.no_grad()
def queries_of(model: nn.Module, inputs: Tensor, clips: list[TrackDataSample]) -> Tensor:
    """Decoder queries (layers,B*T,N,C)."""
    return model.forward_transformer(model.extract_feat(inputs), clips)['hidden_states']


@torch.no_grad()
def outputs_of(model: nn.Module, inputs: Tensor, clips: list[TrackDataSample]) -> dict[str, Tensor]:
    """What ``mode='tensor'`` gives."""
    return model(inputs, clips, mode='tensor')
