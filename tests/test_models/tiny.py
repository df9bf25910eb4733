"""The full method of ``configs/_base_/models/ifirvos_r50.py``, a few thousand times smaller, and clips for it."""

from pathlib import Path

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor, nn

BASE = Path(__file__).parents[2] / 'configs/_base_/models/ifirvos_r50.py'
C, HEADS, QUERIES, LAYERS = 32, 4, 3, 2
ATTENTION = dict(embed_dims=C, num_heads=HEADS, dropout=0.0)
DEFORMABLE = dict(**ATTENTION, num_points=2)
FEEDFORWARD = dict(embed_dims=C, feedforward_channels=48, ffn_drop=0.0)
TINY = dict(
    num_queries=QUERIES,
    backbone=dict(depth=18, base_channels=8, frozen_stages=-1, init_cfg=None),
    neck=dict(in_channels=[16, 32, 64], out_channels=C, norm_cfg=dict(type='GN', num_groups=8)),
    text_encoder=dict(
        name='synth_tokenizer',
        pretrained=False,
        frozen=False,
        config=dict(
            vocab_size=537,
            hidden_size=24,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
            type_vocab_size=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
    ),
    text_dropout=0.0,
    vli=dict(embed_dims=C, num_heads=HEADS, feedforward_channels=48),
    positional_encoding=dict(num_feats=C // 2),
    encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=DEFORMABLE, ffn_cfg=FEEDFORWARD)),
    decoder=dict(
        num_layers=LAYERS,
        layer_cfg=dict(
            self_attn_cfg=ATTENTION,
            cross_attn_cfg=DEFORMABLE,
            ffn_cfg=FEEDFORWARD,
            ifi_cfg=dict(embed_dims=C, num_heads=HEADS, feedforward_channels=48, dropout=0.0),
        ),
    ),
    pixel_decoder=dict(in_channels=[8, C, C, C], embed_dims=C, num_heads=HEADS, feedforward_channels=48, dropout=0.0),
    bbox_head=dict(embed_dims=C, mask_head=dict(in_channels=C)),
    test_cfg=dict(frame_chunk=None),
)


def tiny_model(**overrides) -> nn.Module:
    """Builds and initialises the model, in float64 (what is equal is then equal to 1e-10) and in evaluation mode.

    Args:
        **overrides: Dotted config keys with ``__`` for the dots, as ``decoder__layer_cfg__ifi_cfg=None``.
    """
    config = Config.fromfile(BASE)
    config.merge_from_dict(dict(model=TINY))
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
