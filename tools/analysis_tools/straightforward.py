"""The model computed as in the official ReferFormer code, as the baseline of benchmark.py.

Masks of every query and layer, from features repeated for each query; stored attention weights; sentences one by one,
each from the frames on; mmcv's PyTorch sampling; mmcv's FFN; unfused batch norms; all frames at once. Weights and
outputs are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.transformer import FFN
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch
from torch import Tensor, nn

from ifirvos.models import deformable_attention
from ifirvos.models.attention import Attention
from ifirvos.models.dynamic_mask_head import DynamicMaskHead
from ifirvos.models.feed_forward import TokenwiseFFN
from ifirvos.models.relu_dropout import ReLUDropout


def draw_repeated(
    head: DynamicMaskHead,
    features: Tensor,
    params: Tensor,
    reference_points: Tensor,
    img_sizes: Tensor,
    before: nn.Conv2d | None = None,
) -> Tensor:
    """Compute :meth:`DynamicMaskHead.forward` by grouped convolutions on features that are repeated for every query."""
    if before is not None:
        features = before(features)
    frames, channels, height, width = features.shape
    queries, hidden = params.shape[1], head.channels
    start = head.stride // 2
    x, y = (torch.arange(cells, device=features.device) * head.stride + start for cells in (width, height))
    points = reference_points * img_sizes[:, None]
    dx = (points[..., :1] - x)[:, :, None].expand(-1, -1, height, -1)
    dy = (points[..., 1:] - y)[..., None].expand(-1, -1, -1, width)
    repeated = features[:, None].expand(-1, queries, -1, -1, -1)
    out = torch.cat([repeated, dx[:, :, None], dy[:, :, None]], 2).reshape(1, -1, height, width)
    groups = frames * queries
    weights_and_biases = params.flatten(0, 1).split(head.param_sizes, dim=-1)
    for number, (inputs, outputs) in enumerate(((channels + 2, hidden), (hidden, hidden), (hidden, 1))):
        kernel = weights_and_biases[number].reshape(groups * outputs, inputs, 1, 1)
        out = F.conv2d(out, kernel, weights_and_biases[number + 3].reshape(-1), groups=groups)
        out = out.relu() if number < 2 else out
    return out.view(frames, queries, height, width)


def _keep_weights(attention: nn.MultiheadAttention, *args, **kwargs) -> tuple[Tensor, Tensor]:
    return _ATTEND(attention, *args, **{**kwargs, 'need_weights': True})


def _relu_then_dropout(layer: ReLUDropout, x: Tensor) -> Tensor:
    return F.dropout(F.relu(x, inplace=True), layer.p, layer.training)


_ATTEND = nn.MultiheadAttention.forward


@contextmanager
def straightforward(model: nn.Module) -> Iterator[None]:
    """Let a model compute as the reference does inside the block."""
    test_cfg = {key: value for key, value in (model.test_cfg or {}).items() if key != 'frame_chunk'}
    with (
        patch.object(deformable_attention, 'sample_values', multi_scale_deformable_attn_pytorch),
        patch.object(nn.MultiheadAttention, 'forward', _keep_weights),
        patch.object(Attention, '_must_be_torchs', return_value=True),
        patch.object(TokenwiseFFN, 'forward', FFN.forward),
        patch.object(ReLUDropout, 'forward', _relu_then_dropout),
        patch.object(DynamicMaskHead, 'forward', draw_repeated),
        patch.object(model, 'test_cfg', test_cfg),
    ):
        yield


@torch.inference_mode()
def predict(model: nn.Module, inputs: Tensor, clips: list) -> list[dict[str, Tensor]]:
    """Predict sentences one after another as the reference does, every one from the frames on.

    Args:
        model: An IFIRVOS in evaluation mode, not prepared for inference.
        inputs: (1,T,3,H,W).
        clips: One data sample per sentence.

    Returns:
        One dict per sentence: ``scores`` (T,) and ``mask_logits`` (T,h,w) of the query chosen, ``masks`` bool (T,H,W).
    """
    found = []
    with straightforward(model):
        for clip in clips:
            outputs = model(inputs, [clip], mode='tensor')
            scores = outputs['cls_logits'][-1, 0, ..., 0].sigmoid()
            query = scores.mean(0).argmax()
            logits = outputs['mask_logits'][-1, 0, :, query]
            masks = [
                model.bbox_head.to_original_size(mask[None], frame)[0] > 0
                for mask, frame in zip(logits, clip, strict=True)
            ]
            found.append(dict(scores=scores[:, query], mask_logits=logits, masks=torch.stack(masks)))
    return found
