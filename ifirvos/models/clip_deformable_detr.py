"""Deformable DETR on the frames of clips: mmdet's, with padding, positions and sentence per clip."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmdet.models.detectors import DeformableDETR
from mmdet.structures import TrackDataSample
from torch import Tensor, nn

from ifirvos.registry import MODELS
from ifirvos.structures import padding_masks, to_device

from .deformable_attention import ClipDeformableEncoder
from .ifi_decoder import IFIDeformableDetrTransformerDecoder
from .positional_encoding import MaskedSinePositionalEncoding


class ClipDeformableDETR(DeformableDETR):
    """The Transformer of mmdet's ``DeformableDETR`` with frames as its batch, B*T, clip by clip.

    Padding masks and positions are per clip, the queries start from a sentence, encoder and decoder are built through
    the registry, and at inference frame-independent stages process ``test_cfg.frame_chunk`` frames at a time.
    """

    def _init_layers(self) -> None:
        self.positional_encoding = MaskedSinePositionalEncoding(**self.positional_encoding)
        self.encoder = MODELS.build({'type': ClipDeformableEncoder, **self.encoder})
        self.decoder = MODELS.build({'type': IFIDeformableDetrTransformerDecoder, **self.decoder})
        self.embed_dims = self.encoder.embed_dims
        self.query_embedding = nn.Embedding(self.num_queries, self.embed_dims)
        self.level_embed = nn.Parameter(torch.zeros(self.num_feature_levels, self.embed_dims))
        self.reference_points_fc = nn.Linear(self.embed_dims, 2)

    @property
    def frame_chunk(self) -> int | None:
        """Frames at a time in frame-independent stages; None (all) in training and in a traced graph."""
        whole = self.training or torch.compiler.is_compiling()
        return None if whole else (self.test_cfg or {}).get('frame_chunk')

    def encode_positions(
        self, img_feats: list[Tensor], clips: list[TrackDataSample]
    ) -> tuple[list[Tensor | None], list[Tensor]]:
        """Return padding masks (B,h,w), None where no clip is padded, and 2-D encodings (B,C,h,w), strides 4 to 64.

        All frames of a clip share them. Encodings have the precision of the parameters: features in bf16, as autocast
        makes them on a CPU, would round the positions that deformable attention and LEwV read.
        """
        full = padding_masks(clips, img_feats[0])
        masks, positions = [], []
        for feat in img_feats:
            mask = None if full is None else F.interpolate(full[:, None].float(), size=feat.shape[-2:])[:, 0].bool()
            like = feat.new_empty(len(clips), 1, *feat.shape[-2:])
            masks.append(mask)
            positions.append(self.positional_encoding(mask, like).to(feat.device, self.level_embed.dtype))
        return masks, positions

    @staticmethod
    def _per_frame(x: Tensor | None, num_frames: int) -> Tensor | None:
        """(B,...) -> (B*T,...)."""
        return None if x is None else x[:, None].expand(-1, num_frames, *x.shape[1:]).flatten(0, 1)  # no copy if B=1

    def pre_transformer(
        self, levels: list[Tensor], positions: list[Tensor], masks: list[Tensor | None], num_frames: int
    ) -> tuple[dict, dict]:
        """F'_v (B*T,C,h,w), positions (B,C,h,w), masks (B,h,w) -> mmdet's arguments of encoder and decoder.

        mmdet's method reads the padding of every frame; here the frames of a clip share it.
        """
        device, frames = levels[0].device, levels[0].shape[0]
        shapes = [level.shape[-2:] for level in levels]
        position = torch.cat(
            [p.flatten(2).transpose(1, 2) + embed for p, embed in zip(positions, self.level_embed, strict=True)], 1
        )
        if masks[0] is None:
            mask, valid_ratios = None, self.level_embed.new_ones(frames, len(levels), 2)
        else:
            mask = self._per_frame(torch.cat([m.flatten(1) for m in masks], 1), num_frames)
            valid_ratios = self._per_frame(torch.stack([self.get_valid_ratio(m) for m in masks], 1), num_frames)
        spatial_shapes = to_device(shapes, device)
        shared = dict(
            spatial_shapes=spatial_shapes,
            level_start_index=F.pad(spatial_shapes.prod(1).cumsum(0)[:-1], (1, 0)),
            valid_ratios=valid_ratios,
        )
        encoder_inputs = dict(
            feat=torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1),
            feat_mask=mask,
            feat_pos=self._per_frame(position, num_frames),
            level_sizes=[tuple(shape) for shape in shapes],
            **shared,
        )
        return encoder_inputs, dict(memory_mask=mask, **shared)

    def forward_encoder(
        self,
        feat: Tensor,
        feat_mask: Tensor | None,
        feat_pos: Tensor,
        spatial_shapes: Tensor,
        level_start_index: Tensor,
        valid_ratios: Tensor,
        level_sizes: list[tuple[int, int]],
    ) -> dict[str, Tensor]:
        """Encode as mmdet does, at inference in chunks of frames."""
        chunk, memory = self.frame_chunk, []
        for start in range(0, len(feat), chunk) if chunk else (0,):
            part = slice(start, start + chunk if chunk else None)
            memory.append(
                self.encoder(
                    query=feat[part],
                    query_pos=feat_pos[part],
                    key_padding_mask=None if feat_mask is None else feat_mask[part],
                    spatial_shapes=spatial_shapes,
                    level_start_index=level_start_index,
                    valid_ratios=valid_ratios[part],
                    level_sizes=level_sizes,
                )
            )
        return dict(memory=torch.cat(memory) if len(memory) > 1 else memory[0])

    def pre_decoder(self, memory: Tensor, sentence: Tensor, num_frames: int) -> dict[str, Tensor]:
        """Initialise all N queries of all frames with the clip's sentence (B,C); they differ in their positions."""
        frames = memory.shape[0]
        query = self._per_frame(sentence, num_frames)[:, None].expand(-1, self.num_queries, -1)
        query_pos = self.query_embedding.weight[None].expand(frames, -1, -1)
        return dict(
            query=query.to(memory),
            query_pos=query_pos,
            memory=memory,
            reference_points=without_autocast(self.reference_points_fc)(query_pos).sigmoid(),
        )

    def forward_decoder(
        self,
        query: Tensor,
        query_pos: Tensor,
        memory: Tensor,
        memory_mask: Tensor | None,
        reference_points: Tensor,
        spatial_shapes: Tensor,
        level_start_index: Tensor,
        valid_ratios: Tensor,
        num_frames: int,
    ) -> dict:
        """Return ``hidden_states`` (layers,B*T,N,C) and the other arguments of :meth:`RVOSHead.forward` by name."""
        hidden_states, references, *rest = self.decoder(
            query=query,
            value=memory,
            query_pos=query_pos,
            key_padding_mask=memory_mask,
            reference_points=reference_points,
            spatial_shapes=spatial_shapes,
            level_start_index=level_start_index,
            valid_ratios=valid_ratios,
            reg_branches=[without_autocast(branch) for branch in self.bbox_head.reg_branches],
            num_frames=num_frames,
        )
        outputs = dict(hidden_states=hidden_states, references=[reference_points, *references])
        return outputs if not rest or rest[0] is hidden_states else dict(**outputs, box_states=rest[0])


def without_autocast(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    """Wrap a layer so that it runs in the precision of its weights: in bf16 (8 bits) boxes would be pixels off."""

    def run(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return layer(x.to(next(layer.parameters()).dtype))

    return run
