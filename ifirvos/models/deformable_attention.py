"""Multi-scale deformable attention for clips of any length, in mixed precision, on any device."""

from collections.abc import Sequence

import torch
from mmcv.ops import MultiScaleDeformableAttention, multi_scale_deform_attn
from mmdet.models.layers.transformer.deformable_detr_layers import (
    DeformableDetrTransformerEncoder,
    DeformableDetrTransformerEncoderLayer,
)
from mmengine.model import ModuleList
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ifirvos.errors import InputError
from ifirvos.registry import MODELS

from .deformable_sampling import sample_values
from .feed_forward import TokenwiseFFN


class ClipDeformableAttention(MultiScaleDeformableAttention):
    """mmcv's attention, batch first, adapted to the limits of its CUDA kernel.

    The kernel has no bf16, and ``im2col_step`` must divide the batch (here B*T frames). So it runs in fp32 inside
    autocast, with the largest step that divides the batch. Without the kernel :func:`sample_values` is used, which
    does not store the sampled values.
    """

    max_im2col_step = 64

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        identity: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        reference_points: Tensor | None = None,
        spatial_shapes: Tensor | None = None,
        level_start_index: Tensor | None = None,
        **kwargs,
    ) -> Tensor:
        """Attend as in mmcv; further arguments of mmdet's layers are ignored.

        Args:
            query: (B,Q,C), B being frames.
            key: Unused.
            value: (B,S,C), the pixels of all levels; None: the query.
            identity: Added to the result; None: the query.
            query_pos: (B,Q,C), added to the query.
            key_padding_mask: (B,S), True on padding, whose values become zero.
            reference_points: (B,Q,L,2) normalised centres, or (B,Q,L,4) boxes, cxcywh.
            spatial_shapes: int64 (L,2), (h, w) of each level.
            level_start_index: int64 (L,), the first pixel of each level.
            **kwargs: Unused.

        Returns:
            (B,Q,C), in the precision of the weights.
        """
        with torch.autocast(query.device.type, enabled=False):
            dtype = self.value_proj.weight.dtype
            query = query.to(dtype)
            value = query if value is None else value.to(dtype)
            identity = query if identity is None else identity.to(dtype)
            locations, weights = self.sampling_points(
                query if query_pos is None else query + query_pos.to(dtype), reference_points.to(dtype), spatial_shapes
            )
            value = self.value_proj(value)
            if key_padding_mask is not None:
                value = value.masked_fill(key_padding_mask[..., None], 0.0)
            value = value.unflatten(-1, (self.num_heads, -1))
            sampled = self.sample(value, spatial_shapes, level_start_index, locations, weights)
            return self.dropout(self.output_proj(sampled)) + identity

    def sampling_points(self, query: Tensor, reference_points: Tensor, spatial_shapes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sampling points of each query and their weights.

        Returns:
            Normalised locations (B,Q,H,L,P,2), x and y, and attention weights (B,Q,H,L,P).
        """
        points = (self.num_levels, self.num_points)
        offsets = self.sampling_offsets(query).unflatten(-1, (self.num_heads, -1))
        weights = self.attention_weights(query).unflatten(-1, (self.num_heads, -1)).softmax(-1).unflatten(-1, points)
        if reference_points.shape[-1] == 2:  # offsets in pixels; CPUs are slow at a last dimension of two

            def of_points(per_level: Tensor) -> Tensor:  # (...,L,2) -> (...,L*P*2)
                return per_level.unsqueeze(-2).expand(*per_level.shape[:-1], self.num_points, 2).flatten(-3)

            centres, sizes = of_points(reference_points), of_points(spatial_shapes.flip(-1).to(offsets.dtype))
            return torch.addcdiv(centres[:, :, None], offsets, sizes).unflatten(-1, (*points, 2)), weights
        # Offsets in half boxes.
        centres, sizes = reference_points[:, :, None, :, None].split(2, dim=-1)
        return centres + offsets.unflatten(-1, (*points, 2)) / self.num_points * sizes * 0.5, weights

    def sample(
        self, value: Tensor, spatial_shapes: Tensor, level_start_index: Tensor, locations: Tensor, weights: Tensor
    ) -> Tensor:
        """Sample and weight value (B,S,H,D) -> (B,Q,C), with mmcv's kernel if there is one."""
        if value.is_cuda and multi_scale_deform_attn.IS_CUDA_AVAILABLE:
            frames = len(value)
            steps = range(min(frames, self.max_im2col_step), 0, -1)
            self.im2col_step = next(step for step in steps if frames % step == 0)
            return multi_scale_deform_attn.MultiScaleDeformableAttnFunction.apply(
                value, spatial_shapes, level_start_index, locations, weights, self.im2col_step
            )
        return sample_values(value, spatial_shapes, locations, weights)


class ClipDeformableEncoderLayer(DeformableDetrTransformerEncoderLayer):
    """mmdet's layer with the attention above, and an FFN that does not store its hidden layer at inference."""

    with_cp = False

    def _init_layers(self) -> None:
        super()._init_layers()
        self.self_attn = ClipDeformableAttention(**self.self_attn_cfg)
        self.ffn = TokenwiseFFN(**self.ffn_cfg)

    def forward(self, *args, **kwargs) -> Tensor:
        """Run mmdet's layer; with ``with_cp`` activations are recomputed in the backward pass."""
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(super().forward, *args, use_reentrant=False, **kwargs)
        return super().forward(*args, **kwargs)


@MODELS.register_module()
class ClipDeformableEncoder(DeformableDetrTransformerEncoder):
    """mmdet's encoder with the layer above; frames are its batch, so it is independent of T.

    Args:
        with_cp: Gradient checkpointing of every layer. mmdet's ``num_cp`` needs the package fairscale.
        **kwargs: Arguments of mmdet's encoder.
    """

    def __init__(self, *args, with_cp: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.num_cp > 0:
            raise InputError('encoder.num_cp is not supported: encoder.with_cp=True recomputes all layers')
        for layer in self.layers:
            layer.with_cp = with_cp

    def forward(
        self,
        query: Tensor,
        query_pos: Tensor,
        key_padding_mask: Tensor | None,
        spatial_shapes: Tensor,
        level_start_index: Tensor,
        valid_ratios: Tensor,
        level_sizes: Sequence[tuple[int, int]] | None = None,
    ) -> Tensor:
        """Encode as mmdet's encoder, without reading the sizes of the levels from the device, where a GPU would wait.

        Args:
            query: (F,S,C), the pixels of all levels.
            query_pos: (F,S,C).
            key_padding_mask: (F,S), True on padding, or None.
            spatial_shapes: int64 (L,2), (h, w) of each level.
            level_start_index: int64 (L,), the first pixel of each level.
            valid_ratios: (F,L,2), the share of width and height that is not padding.
            level_sizes: ``spatial_shapes`` as Python numbers.

        Returns:
            (F,S,C).
        """
        sizes = spatial_shapes.tolist() if level_sizes is None else level_sizes
        reference_points = self.get_encoder_reference_points(sizes, valid_ratios, device=query.device)
        for layer in self.layers:
            query = layer(
                query=query,
                query_pos=query_pos,
                key_padding_mask=key_padding_mask,
                spatial_shapes=spatial_shapes,
                level_start_index=level_start_index,
                valid_ratios=valid_ratios,
                reference_points=reference_points,
            )
        return query

    def _init_layers(self) -> None:
        self.layers = ModuleList(ClipDeformableEncoderLayer(**self.layer_cfg) for _ in range(self.num_layers))
        self.embed_dims = self.layers[0].embed_dims
