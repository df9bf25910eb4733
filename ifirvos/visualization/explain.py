"""Recomputes what the model does not store in prediction, for visualizations of a few frames."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .attention import word_attention


@torch.inference_mode()
def explain(
    model: nn.Module,
    frames: Tensor,
    clip: TrackDataSample,
    drawn: Sequence[int],
    parts: Collection[str],
    attention_level: int = 0,
) -> None:
    """Add to some frames of a clip what the model does not store in prediction.

    ``pred_reference_points`` points (N,2), where the last decoder layer started from, in pixels of the original frame;
    ``pred_candidates``, see :class:`RVOSHead`; ``word_attention``, a :class:`WordAttention` (not where the model has no
    VEwL).

    Args:
        model: An :class:`IFIRVOS`.
        frames: uint8 (T, 3, h, w), as a data set gives them.
        clip: Clip of those T frames.
        drawn: Frames to explain.
        parts: Parts to compute, of ``RVOSVisualizer``'s.
        attention_level: ``level`` of :func:`word_attention`.
    """
    if not {'reference_points', 'candidates', 'attention'} & set(parts):
        return
    data = model.data_preprocessor(dict(inputs=[frames], data_samples=[clip]), False)
    inputs, (clip_on_device,) = data['inputs'], data['data_samples']
    if {'reference_points', 'candidates'} & set(parts):
        outputs = model.forward_transformer(model.extract_feat(inputs), [clip_on_device])
        if 'reference_points' in parts:
            for t in drawn:
                height, width = clip[t].ori_shape[:2]
                points = outputs['references'][-2][t, :, :2]
                clip[t].pred_reference_points = InstanceData(points=points * points.new_tensor([width, height]))
        if 'candidates' in parts and 'pred_candidates' not in clip[drawn[0]]:
            test_cfg = model.bbox_head.test_cfg
            model.bbox_head.test_cfg = {**(test_cfg or {}), 'candidates': True}
            try:
                model.bbox_head.predict(**outputs, clips=[clip_on_device])
            finally:
                model.bbox_head.test_cfg = test_cfg
            for t in drawn:
                clip[t].pred_candidates = clip_on_device[t].pred_candidates
    if 'attention' in parts and getattr(model.vli, 'vewl', None) is not None and 'text' in clip:
        for t in drawn:
            clip[t].set_field(
                word_attention(model, inputs[0], clip_on_device, t, attention_level), 'word_attention', dtype=None
            )
