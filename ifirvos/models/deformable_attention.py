"""mmcv's multi-scale deformable attention under mixed precision and for clips of any length."""

import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmdet.models.layers.transformer.deformable_detr_layers import (
    DeformableDetrTransformerEncoder,
    DeformableDetrTransformerEncoderLayer,
)
from mmengine.model import ModuleList
from torch import Tensor
from torch.utils.checkpoint import checkpoint


class ClipDeformableAttention(MultiScaleDeformableAttention):
    """The same attention, kept within what its CUDA kernel accepts.

    The kernel has no bf16, and wants the batch (here B*T frames) to divide by ``im2col_step``. So it runs in fp32
    inside autocast, with the largest step that divides.
    """

    max_im2col_step = 64

    def forward(self, query: Tensor, value: Tensor | None = None, **kwargs) -> Tensor:
        """As in mmcv, ``batch_first``."""
        frames = query.shape[0]
        self.im2col_step = next(step for step in range(min(frames, self.max_im2col_step), 0, -1) if frames % step == 0)
        with torch.autocast(query.device.type, enabled=False):
            dtype = self.value_proj.weight.dtype
            cast = {
                key: arg.to(dtype) if isinstance(arg, Tensor) and arg.is_floating_point() else arg
                for key, arg in kwargs.items()
            }
            return super().forward(query.to(dtype), value=None if value is None else value.to(dtype), **cast)


class ClipDeformableEncoderLayer(DeformableDetrTransformerEncoderLayer):
    """mmdet's layer with the attention above."""

    with_cp = False

    def _init_layers(self) -> None:
        super()._init_layers()
        self.self_attn = ClipDeformableAttention(**self.self_attn_cfg)

    def forward(self, *args, **kwargs) -> Tensor:
        """mmdet's; with ``with_cp`` its activations are computed again for the gradient, not kept."""
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(super().forward, *args, use_reentrant=False, **kwargs)
        return super().forward(*args, **kwargs)


class ClipDeformableEncoder(DeformableDetrTransformerEncoder):
    """mmdet's encoder with the layer above; frames are its batch, so it is independent of T.

    Args:
        with_cp: Gradient checkpointing of every layer. mmdet's ``num_cp`` needs the package fairscale.
        **kwargs: Arguments of mmdet's encoder.
    """

    def __init__(self, *args, with_cp: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for layer in self.layers:
            layer.with_cp = with_cp

    def _init_layers(self) -> None:
        self.layers = ModuleList(ClipDeformableEncoderLayer(**self.layer_cfg) for _ in range(self.num_layers))
        self.embed_dims = self.layers[0].embed_dims
