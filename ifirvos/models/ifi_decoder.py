"""The deformable decoder with inter-frame interaction after every layer (paper 3.4, Figure 4, eq. 5)."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.transformer import FFN
from mmdet.models.layers.transformer.deformable_detr_layers import (
    DeformableDetrTransformerDecoder,
    DeformableDetrTransformerDecoderLayer,
)
from mmdet.models.layers.transformer.utils import coordinate_to_encoding, inverse_sigmoid
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ifirvos.errors import InputError
from ifirvos.registry import MODELS

from .deformable_attention import ClipDeformableAttention
from .positional_encoding import SinePositionalEncoding1D

TEMPORAL_POSITIONS = (None, 'sine', 'learned')
PLACES = ('before', 'after')
# Wavelengths from an eighth of the frame to 2.5 frames. DETR's, from one frame to 10,000, are too long to resolve
# motion: from boxes alone, motion was learnt in 1,500 steps with these, and not in 3,000 with DETR's.
BOX_ENCODING = dict(temperature=20, scale=16 * math.pi)


@MODELS.register_module()
class InterFrameInteraction(BaseModule):
    """Self-attention and FFN over all T*N queries of a clip (eq. 5).

    ``Q1 = LN(Attn(Q) + Q)``, ``Q2 = LN(FFN(Q1) + Q1)``.

    Args:
        embed_dims: Channels C.
        num_heads: Attention heads.
        feedforward_channels: Width of the FFN.
        dropout: Dropout probability in the attention, after it and in the FFN.
        temporal_pos: None (paper): the frames of a clip are a set, and no output depends on their order.
            'sine' (ours): adds a sine encoding of the time, normalised over the clip, to the queries;
            'learned' (ours): the same after a linear layer.
        box_pos: Ours: adds an encoding of the query's box centre, after a linear layer that starts at zero (the
            paper's module). With iterative refinement queries only need to encode corrections of their boxes, so in a
            small model they do not carry the position of the object.
        query_pos: Ours: adds the decoder's query positions to queries and keys, as in its self-attention, so that a
            query recognises itself in other frames.
        gate: Ours: ``Q + g * (Q2 - Q)`` with one weight g per channel that starts at zero, so that the first
            forward equals that of the model without IFI.
        place: ``'before'`` the box refinement of its layer (Figure 4: after every decoder layer), or ``'after'`` it:
            boxes are then predicted from the queries before IFI, classes and masks from those after it.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        feedforward_channels: int = 2048,
        dropout: float = 0.1,
        temporal_pos: str | None = None,
        box_pos: bool = False,
        query_pos: bool = False,
        gate: bool = False,
        place: str = 'before',
    ) -> None:
        super().__init__()
        if place not in PLACES:
            raise InputError(f'place must be one of {PLACES}, not {place!r}')
        if temporal_pos not in TEMPORAL_POSITIONS:
            raise InputError(f'temporal_pos must be one of {TEMPORAL_POSITIONS}, not {temporal_pos!r}')
        self.place = place
        self.temporal_pos = temporal_pos
        self.query_pos = query_pos
        self.attn = nn.MultiheadAttention(embed_dims, num_heads, dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ffn = FFN(embed_dims, feedforward_channels, ffn_drop=dropout)
        self.norms = ModuleList(nn.LayerNorm(embed_dims) for _ in range(2))
        if temporal_pos is not None:
            self.time_encoding = SinePositionalEncoding1D(embed_dims)
            self.time_projection = nn.Linear(embed_dims, embed_dims) if temporal_pos == 'learned' else nn.Identity()
        self.box_projection = nn.Linear(embed_dims, embed_dims) if box_pos else None
        self.gate = nn.Parameter(torch.zeros(embed_dims)) if gate else None

    def init_weights(self) -> None:
        """Start the box projection at zero."""
        if self.box_projection is not None:
            nn.init.zeros_(self.box_projection.weight)
            nn.init.zeros_(self.box_projection.bias)

    def _time(self, num_frames: int, like: Tensor) -> Tensor:
        """Return (T,C): frame t is at (t + 0.5) / T, because training has few frames per clip and testing all."""
        time = (torch.arange(num_frames, device=like.device) + 0.5) / num_frames
        return self.time_projection(self.time_encoding.encode(time).to(like))

    def forward(self, query: Tensor, num_frames: int, centres: Tensor, query_pos: Tensor) -> Tensor:
        """Let the queries of all frames of a clip interact; returns (B*T,N,C).

        Args:
            query: (B*T,N,C).
            num_frames: T.
            centres: Centres of the boxes (B*T,N,2), in [0,1].
            query_pos: The decoder's query positions (B*T,N,C).
        """
        own = query
        if self.box_projection is not None:
            encoding = coordinate_to_encoding(centres, query.shape[-1] // 2, **BOX_ENCODING)
            query = query + self.box_projection(encoding.to(query))
        q = query.unflatten(0, (-1, num_frames))  # B T N C
        if self.temporal_pos is not None:
            q = q + self._time(num_frames, query)[None, :, None]
        q = q.flatten(1, 2)  # B T*N C
        qk = q + query_pos.reshape(q.shape) if self.query_pos else q
        q = self.norms[0](q + self.dropout(self.attn(qk, qk, q, need_weights=False)[0]))
        q = self.norms[1](self.ffn(q))
        q = q.view_as(query)
        return q if self.gate is None else own + self.gate * (q - own)


@MODELS.register_module()
class IFIDecoderLayer(DeformableDetrTransformerDecoderLayer):
    """mmdet's deformable decoder layer, then inter-frame interaction.

    Args:
        ifi_cfg: Config of the temporal module, by default :class:`InterFrameInteraction`, or any
            :class:`~ifirvos.models.contracts.TemporalModule` given by ``type``. None: frames are independent.
    """

    def __init__(self, ifi_cfg: dict | None = None, **kwargs) -> None:
        self.ifi_cfg = ifi_cfg
        super().__init__(**kwargs)

    def _init_layers(self) -> None:
        super()._init_layers()
        self.cross_attn = ClipDeformableAttention(**self.cross_attn_cfg)
        self.ifi = None if self.ifi_cfg is None else MODELS.build({'type': InterFrameInteraction, **self.ifi_cfg})

    def forward(
        self,
        query: Tensor,
        num_frames: int,
        query_pos: Tensor,
        reference_points: Tensor,
        valid_ratios: Tensor,
        **kwargs,
    ) -> Tensor:
        """Decode query (B*T,N,C) -> (B*T,N,C); the other arguments as in mmdet."""
        query = super().forward(
            query, query_pos=query_pos, reference_points=reference_points, valid_ratios=valid_ratios, **kwargs
        )
        if self.ifi is None or getattr(self.ifi, 'place', 'before') == 'after':  # then the decoder calls it
            return query
        # mmdet has scaled the points by the valid ratio of every level.
        centres = reference_points[:, :, 0, :2] / valid_ratios[:, None, 0]
        found = self.ifi(query, num_frames, centres, query_pos)
        if found.shape != query.shape:
            raise InputError(
                f'{type(self.ifi).__name__} (decoder.layer_cfg.ifi_cfg) returns {tuple(found.shape)} for queries '
                f'{tuple(query.shape)}, (B*T,N,C): it must keep their shape.'
            )
        return found


@MODELS.register_module()
class IFIDeformableDetrTransformerDecoder(DeformableDetrTransformerDecoder):
    """mmdet's decoder with the layers above. Its ``forward`` passes ``num_frames`` to every layer.

    With ``ifi_cfg.place='after'``, IFI comes after the box refinement of a layer, which mmdet's loop does not allow.

    Args:
        ifi_layers: Indices of the layers with IFI, from 0, or negative from the end. None (paper): all layers.
        **kwargs: Arguments of mmdet's decoder. ``layer_cfg`` may name another ``type``.

    Raises:
        ValueError: There is no such layer.
    """

    def __init__(self, *args, ifi_layers: Sequence[int] | None = None, **kwargs) -> None:
        self.ifi_layers = ifi_layers
        super().__init__(*args, **kwargs)

    def forward(
        self,
        query: Tensor,
        query_pos: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None,
        reference_points: Tensor,
        spatial_shapes: Tensor,
        level_start_index: Tensor,
        valid_ratios: Tensor,
        reg_branches: Sequence[Callable[[Tensor], Tensor]],
        num_frames: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode as mmdet's does.

        Returns:
            tuple: the queries (layers,B*T,N,C) for class and mask, the refined boxes (layers,B*T,N,4), and the queries
            that predicted the boxes, which differ from the first only with ``place='after'``.
        """
        shared = dict(
            query_pos=query_pos,
            value=value,
            key_padding_mask=key_padding_mask,
            spatial_shapes=spatial_shapes,
            level_start_index=level_start_index,
            valid_ratios=valid_ratios,
            num_frames=num_frames,
        )
        if all(getattr(getattr(layer, 'ifi', None), 'place', 'before') == 'before' for layer in self.layers):
            states, references = super().forward(
                query, reference_points=reference_points, reg_branches=reg_branches, **shared
            )
            return states, references, states
        states, references, box_states = [], [], []
        for layer, branch in zip(self.layers, reg_branches, strict=True):
            ratios = valid_ratios.repeat(1, 1, reference_points.shape[-1] // 2)
            query = layer(query, reference_points=reference_points[:, :, None] * ratios[:, None], **shared)
            box_states.append(query)
            delta, known = branch(query), inverse_sigmoid(reference_points)
            # The first layer has points, the others boxes.
            reference_points = (delta + F.pad(known, (0, 4 - known.shape[-1]))).sigmoid().detach()
            references.append(reference_points)
            if layer.ifi is not None:
                query = layer.ifi(query, num_frames, reference_points[..., :2], query_pos)
            states.append(query)
        return torch.stack(states), torch.stack(references), torch.stack(box_states)

    def _init_layers(self) -> None:
        layers = range(self.num_layers)
        wrong = [index for index in self.ifi_layers or () if index not in range(-self.num_layers, self.num_layers)]
        if wrong:
            raise InputError(f'ifi_layers: there is no layer {wrong[0]}, but {self.num_layers} layers')
        with_ifi = layers if self.ifi_layers is None else {layers[index] for index in self.ifi_layers}
        cfg = {'type': IFIDecoderLayer, **self.layer_cfg}
        self.layers = ModuleList(MODELS.build(cfg if i in with_ifi else {**cfg, 'ifi_cfg': None}) for i in layers)
        self.embed_dims = self.layers[0].embed_dims
        if self.post_norm_cfg is not None:
            raise InputError('post_norm_cfg must be None: the deformable decoder has no norm after its last layer')
