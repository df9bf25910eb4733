"""Branches on the decoder's queries, clip-level matching, losses, prediction (paper 3.5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import DeformableDETRHead
from mmdet.models.layers import MLP
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ifirvos.errors import InputError
from ifirvos.registry import MODELS
from ifirvos.structures import (
    MASK_TARGETS,
    ClipTarget,
    clip_targets,
    flatten_samples,
    have_key_frames,
    image_sizes,
    original_sizes,
    select_frames,
)

from .dynamic_mask_head import DynamicMaskHead
from .pixel_decoder import FusedFrames
from .query_linker import QueryLinker


def key_frames_only(
    hidden_states: Tensor, references: list[Tensor], mask_features: Tensor, clips: list[TrackDataSample]
) -> tuple[Tensor, list[Tensor], Tensor, list[TrackDataSample]]:
    """Return the arguments of :meth:`RVOSHead.forward`, reduced to the annotated frames if any are marked.

    All frames have passed through the decoder, for inter-frame interaction.
    """
    if not have_key_frames(clips):
        return hidden_states, references, mask_features, clips
    per_frame = [*references, hidden_states.transpose(0, 1), mask_features]
    (*references, states, mask_features), clips = select_frames(
        per_frame, clips, [clip.key_frames_inds for clip in clips]
    )
    return states.transpose(0, 1), references, mask_features, clips


def weighted_mean(loss: Tensor, weight: Tensor, normaliser: Tensor) -> Tensor:
    """Return the weighted sum of a loss, divided by the normaliser as in mmdet's losses.

    Those first check whether any weight is positive, for which a GPU has to wait.
    """
    return (loss * weight).sum() / (normaliser + torch.finfo(torch.float32).eps)


@MODELS.register_module()
class RVOSHead(DeformableDETRHead):
    """mmdet's class and box branches on B*T frames, a mask controller, and clip-level matching and losses.

    Args:
        mask_head: Arguments of :class:`DynamicMaskHead` (mmdet registers another class of that name).
        loss_mask: Focal loss on mask logits.
        loss_dice: Dice loss on mask logits.
        mask_target: 'point' samples the full-size mask as in the reference code; 'area' averages it, for small frames,
            where point sampling limits J.
        box_loss_on_absent: Include frames without the object in the box losses, with a zero box, as in the reference
            code.
        mask_loss_on_absent: Include clips without the object in the mask losses, with empty masks (the reference code
            has no such clips). False: they only train the class score.
        **kwargs: Arguments of mmdet's ``DeformableDETRHead``.
    """

    def __init__(
        self,
        *args,
        mask_head: dict,
        loss_mask: dict,
        loss_dice: dict,
        mask_target: str = 'point',
        box_loss_on_absent: bool = True,
        mask_loss_on_absent: bool = True,
        **kwargs,
    ) -> None:
        if mask_target not in MASK_TARGETS:
            raise InputError(f'mask_target must be one of {MASK_TARGETS}, not {mask_target!r}')
        self._mask_head_cfg = mask_head
        super().__init__(*args, **kwargs)
        self.loss_mask = MODELS.build(loss_mask)
        self.loss_dice = MODELS.build(loss_dice)
        self.mask_target = mask_target
        self.box_loss_on_absent = box_loss_on_absent
        self.mask_loss_on_absent = mask_loss_on_absent

    def _init_layers(self) -> None:
        super()._init_layers()
        self.mask_head = DynamicMaskHead(**self._mask_head_cfg)
        self.controller = MLP(self.embed_dims, self.embed_dims, self.mask_head.num_params, 3)

    def init_weights(self) -> None:
        """Initialise as mmdet, and the controller with Xavier and zero bias (reference code)."""
        super().init_weights()
        for layer in self.controller.layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        hidden_states: Tensor,
        references: list[Tensor],
        mask_features: Tensor,
        clips: list[TrackDataSample],
        box_states: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compute the outputs of all layers.

        Args:
            hidden_states: (layers,B*T,N,C).
            references: The initial points (B*T,N,2), then each layer's refined boxes (B*T,N,4).
            mask_features: F_seg (B*T,C,h,w).
            clips: B clips.
            box_states: Queries for the boxes, (layers,B*T,N,C), if they are not ``hidden_states``.

        Returns:
            dict: ``cls_logits`` (layers,B,T,N,1), ``boxes`` (layers,B,T,N,4) cxcywh in [0,1] of the unpadded input,
            ``mask_logits`` (layers,B,T,N,h,w) of the padded input at the mask stride, ``reference_points`` (B,T,N,2)
            that the last layer started from.
        """
        cls_logits, boxes = super().forward(hidden_states, references)
        if box_states is not None:
            _, boxes = super().forward(box_states, references)
        sizes = image_sizes(clips, mask_features).repeat_interleave(len(clips[0]), 0)
        mask_logits = torch.stack(
            [
                self.mask_head(mask_features, self.controller(hidden), boxes_of_layer[..., :2], sizes)
                for hidden, boxes_of_layer in zip(hidden_states, references[1:], strict=True)
            ]
        )
        batch = (len(clips), len(clips[0]))
        return dict(
            cls_logits=cls_logits.unflatten(1, batch),
            boxes=boxes.unflatten(1, batch),
            mask_logits=mask_logits.unflatten(1, batch),
            reference_points=references[-2][..., :2].unflatten(0, batch),
        )

    # ------------------------------------------------------------------ training
    def loss(
        self,
        hidden_states: Tensor,
        references: list[Tensor],
        mask_features: Tensor,
        clips: list[TrackDataSample],
        box_states: Tensor | None = None,
        targets: list[ClipTarget] | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted losses of all layers; their sum is the total. Arguments as :meth:`forward`.

        If clips have annotated frames (``key_frames_inds``, A2D- and JHMDB-Sentences), only these are used. ``targets``
        are those of the clips, see :meth:`targets`, if they are there already.
        """
        if box_states is not None:
            box_states = key_frames_only(box_states, references, mask_features, clips)[0].float()
        hidden_states, references, mask_features, clips = key_frames_only(
            hidden_states, references, mask_features, clips
        )
        with torch.autocast(mask_features.device.type, enabled=False):
            outputs = self(hidden_states.float(), references, mask_features.float(), clips, box_states)
            if targets is None:
                targets = self.targets(clips, outputs['mask_logits'].shape[-2:], mask_features.device)
            return self.loss_by_feat(outputs, targets)

    def targets(self, clips: list[TrackDataSample], size: tuple[int, int], device: torch.device) -> list[ClipTarget]:
        """Return what the clips are trained on, with masks of the logits' ``size`` (h, w)."""
        return clip_targets(clips, size, self.mask_head.stride, self.mask_target, device)

    def loss_by_feat(self, outputs: dict[str, Tensor], targets: list[ClipTarget]) -> dict[str, Tensor]:
        """Compute the losses of :meth:`forward` and B targets, by mmdet's names (earlier layers: ``d0.`` …)."""
        num_valid = torch.stack([target.valid.sum() for target in targets]).sum()
        num_valid = reduce_mean(num_valid).clamp(min=1)  # a tensor: reading its number would wait for a GPU
        losses, num_layers = {}, len(outputs['cls_logits'])
        for layer in range(num_layers):
            prefix = '' if layer == num_layers - 1 else f'd{layer}.'
            predictions = [outputs[key][layer] for key in ('cls_logits', 'boxes', 'mask_logits')]
            for name, loss in self.loss_by_layer(*predictions, targets, num_valid).items():
                losses[prefix + name] = loss
        return losses

    def loss_by_layer(
        self, cls_logits: Tensor, boxes: Tensor, mask_logits: Tensor, targets: list[ClipTarget], num_valid: Tensor
    ) -> dict[str, Tensor]:
        """Compute the losses of one layer: match one query sequence to each clip's object, then compare.

        Args:
            cls_logits: (B,T,N,1).
            boxes: (B,T,N,4).
            mask_logits: (B,T,N,h,w).
            targets: B clips.
            num_valid: Frames with the object, mean over processes: the normaliser of every loss.
        """
        clip_index = torch.arange(len(targets), device=boxes.device)
        query_index = self.match_cost(cls_logits, boxes, mask_logits, targets).argmin(1)
        matched_boxes = boxes[clip_index, :, query_index]  # B T 4
        matched_masks = mask_logits[clip_index, :, query_index]  # B T h w
        valid = torch.stack([target.valid for target in targets])  # B T
        target_boxes = torch.cat([target.boxes for target in targets])
        target_masks = torch.cat([target.masks for target in targets])

        target_cls = torch.zeros_like(cls_logits)
        target_cls[clip_index, :, query_index, 0] = valid
        box_weight = torch.ones_like(valid) if self.box_loss_on_absent else valid
        shown = None if self.mask_loss_on_absent else valid.amax(1)  # B
        return dict(
            loss_cls=self.loss_cls(cls_logits.flatten(0, 2), target_cls.flatten(0, 2), avg_factor=num_valid),
            loss_bbox=weighted_mean(
                self.loss_bbox(matched_boxes, target_boxes, reduction_override='none'), box_weight[..., None], num_valid
            ),
            loss_iou=weighted_mean(
                self.loss_iou(
                    bbox_cxcywh_to_xyxy(matched_boxes).flatten(0, 1),
                    bbox_cxcywh_to_xyxy(target_boxes).flatten(0, 1),
                    reduction_override='none',
                ),
                box_weight.flatten(),
                num_valid,
            ),
            # The reference's normaliser: a mean over the clip's T*h*w pixels, summed over clips, divided by num_valid.
            loss_mask=self.loss_mask(
                matched_masks.flatten(1),
                target_masks.flatten(1),
                shown if shown is None else shown[:, None],
                avg_factor=num_valid * matched_masks[0].numel(),
            ),
            loss_dice=self.loss_dice(matched_masks, target_masks, shown, avg_factor=num_valid),
        )

    @torch.no_grad()
    def match_cost(self, cls_logits: Tensor, boxes: Tensor, mask_logits: Tensor, targets: list[ClipTarget]) -> Tensor:
        """Compute the matching cost of every query sequence with its clip's object (eq. 8), (B,N), for one layer.

        A clip has one object, so the assignment is the argmin. The assigner's costs compare all B*N sequences with all
        B objects at once, and the diagonal blocks are kept, which is faster than B small calls.
        """
        predictions = InstanceData(
            scores=cls_logits[..., 0].transpose(1, 2).flatten(0, 1),
            bboxes=boxes.transpose(1, 2).flatten(0, 1),
            masks=mask_logits.transpose(1, 2).flatten(0, 1),
        )
        objects = InstanceData(
            bboxes=torch.cat([target.boxes for target in targets]),
            masks=torch.cat([target.masks for target in targets]),
            valid=torch.stack([target.valid for target in targets]),
        )
        cost = sum(match_cost(predictions, objects) for match_cost in self.assigner.match_costs)  # B*N B
        return cost.unflatten(0, (len(targets), -1)).diagonal(dim1=0, dim2=2).t()

    # ------------------------------------------------------------------ inference
    def predict(
        self,
        hidden_states: Tensor,
        references: list[Tensor],
        mask_features: Tensor,
        clips: list[TrackDataSample],
        linkers: Sequence[QueryLinker] | None = None,
        box_states: Tensor | None = None,
    ) -> list[TrackDataSample]:
        """Choose a query sequence per clip and compute only its masks of the last layer.

        Arguments as :meth:`forward`; F_seg may be :class:`FusedFrames`. Every frame gets ``pred_track_instances`` with
        one instance: ``masks`` bool (1,H,W) at the original size, ``bboxes`` (1,4) xyxy in its pixels, ``scores`` (1,).
        The clip gets the metainfo ``query_index``. In clips with ``key_frames_inds`` only the annotated frames choose
        the query and are predicted. With ``test_cfg.mask_probs`` the instance also has ``mask_probs`` float (1,H,W), by
        which Ref-DAVIS17 merges objects; with ``test_cfg.candidates`` frames get ``pred_candidates``, see
        :meth:`_add_candidates`. If the clips are windows of long videos, their ``linkers`` choose the queries.
        """
        with torch.autocast(hidden_states.device.type, enabled=False):  # as the loss: half precision misplaces pixels
            dtype = self.controller.layers[0].weight.dtype
            references = [reference.to(dtype) for reference in references]
            if isinstance(mask_features, Tensor):
                mask_features = mask_features.to(dtype)
            elif have_key_frames(clips):
                mask_features = mask_features.drawn().to(dtype)
            return self._predict(hidden_states.to(dtype), references, mask_features, clips, linkers)

    def _predict(
        self,
        hidden_states: Tensor,
        references: list[Tensor],
        mask_features: Tensor,
        clips: list[TrackDataSample],
        linkers: Sequence[QueryLinker] | None,
    ) -> list[TrackDataSample]:
        whole_clips, test_cfg = clips, self.test_cfg or {}
        hidden_states, references, mask_features, clips = key_frames_only(
            hidden_states, references, mask_features, clips
        )
        chosen = self.choose_and_draw(hidden_states, references, mask_features, clips, linkers)
        queries, masks, boxes, scores = (chosen[key] for key in ('queries', 'masks', 'boxes', 'scores'))
        frames = flatten_samples(clips)
        boxes = boxes * original_sizes(frames, boxes)
        for frame, mask, box, score in zip(frames, masks, boxes, scores, strict=True):
            mask = self.to_original_size(mask[None], frame)
            frame.pred_track_instances = InstanceData(
                masks=mask > 0,  # sigmoid > 0.5
                bboxes=box[None],
                scores=score[None],
                labels=torch.zeros(1, dtype=torch.long, device=box.device),
                instances_id=torch.zeros(1, dtype=torch.long, device=box.device),
            )
            if test_cfg.get('mask_probs'):
                frame.pred_track_instances.mask_probs = mask.sigmoid()
        if test_cfg.get('candidates'):
            self._add_candidates(hidden_states[-1], references[-1], mask_features, clips)
        for clip, query in zip(whole_clips, queries.tolist(), strict=True):  # last: it waits for a GPU
            clip.set_metainfo(dict(query_index=query))
        return whole_clips

    def choose_and_draw(
        self,
        hidden_states: Tensor,
        references: list[Tensor],
        mask_features: Tensor | FusedFrames,
        clips: list[TrackDataSample],
        linkers: Sequence[QueryLinker] | None = None,
    ) -> dict[str, Tensor]:
        """Choose each clip's query and compute its masks; arguments as :meth:`predict`.

        Without linkers nothing here waits for a GPU.

        Returns:
            dict: ``queries`` (B,), ``masks`` (B*T,h,w) logits, ``boxes`` (B*T,4) xyxy in [0,1], ``scores`` (B*T,).
        """
        num_frames = hidden_states.shape[1] // len(clips)
        logits = self.cls_branches[-1](hidden_states[-1]).unflatten(0, (-1, num_frames))[..., 0]  # B T N
        scores = logits.float().sigmoid()
        if linkers is None:
            queries = scores.mean(1).argmax(-1)  # B
        else:
            outputs = (hidden_states[-1], references[-1], mask_features)
            queries = self._linked_queries(scores, *outputs, clips, linkers)
        frame_index = torch.arange(hidden_states.shape[1], device=queries.device)
        query_index = queries.repeat_interleave(num_frames)
        boxes = references[-1][frame_index, query_index]  # B*T 4
        params = self.controller(hidden_states[-1][frame_index, query_index][:, None])
        sizes = image_sizes(clips, boxes).repeat_interleave(num_frames, 0)
        masks = self._draw(mask_features, params, boxes[:, None, :2], sizes)[:, 0]  # B*T h w
        if linkers is not None:
            for linker, masks_of_clip in zip(linkers, masks.split(num_frames), strict=True):
                linker.remember(masks_of_clip)
        scores = scores.flatten(0, 1)[frame_index, query_index]
        return dict(queries=queries, masks=masks, boxes=bbox_cxcywh_to_xyxy(boxes.float()), scores=scores)

    def _draw(
        self,
        mask_features: Tensor | FusedFrames,
        params: Tensor,
        reference_points: Tensor,
        img_sizes: Tensor,
        frames: slice | None = None,
    ) -> Tensor:
        """Compute the mask logits of some frames, see :meth:`DynamicMaskHead.forward`.

        ``mask_features`` has all frames, the other arguments only ``frames`` (None: all).
        """
        if isinstance(mask_features, Tensor):
            mask_features = mask_features if frames is None else mask_features[frames]
            return self.mask_head(mask_features, params, reference_points, img_sizes)
        masks, done = [], 0
        for fused in mask_features.parts(frames):
            part = slice(done, done + len(fused))
            arguments = (params[part], reference_points[part], img_sizes[part])
            masks.append(self.mask_head(fused.to(params), *arguments, mask_features.last_convolution))
            done = part.stop
        return torch.cat(masks)

    def _linked_queries(
        self,
        scores: Tensor,
        hidden_states: Tensor,
        boxes: Tensor,
        mask_features: Tensor,
        clips: list[TrackDataSample],
        linkers: Sequence[QueryLinker],
    ) -> Tensor:
        """Choose queries (B,) by scores (B,T,N), the last layer's hidden states (B*T,N,C), boxes (B*T,N,4), F_seg."""
        num_frames, sizes = len(clips[0]), image_sizes(clips, boxes)
        queries = []
        for number, linker in enumerate(linkers):

            def draw(frames: int, start: int = number * num_frames, size: Tensor = sizes[number]) -> Tensor:
                first = slice(start, start + frames)
                params = self.controller(hidden_states[first])
                return self._draw(mask_features, params, boxes[first, :, :2], size.expand(frames, 2), first)

            queries.append(linker.choose(scores[number], draw))
        return torch.tensor(queries, device=scores.device)

    def _add_candidates(
        self, hidden_states: Tensor, boxes: Tensor, mask_features: Tensor, clips: list[TrackDataSample]
    ) -> None:
        """Give every frame all N queries as ``pred_candidates``, for A2D-Sentences' mAP.

        ``pred_candidates`` holds ``masks`` bool (N,H,W) at the original size, ``bboxes`` (N,4) xyxy in its pixels and
        ``scores`` (N,). Masks are resized as in the reference code for A2D (enlarged to the input, thresholded,
        cropped, then resized with nearest) or, with ``test_cfg.candidates='smooth'``, as those of the chosen query.

        Args:
            hidden_states: The last layer's (B*T,N,C).
            boxes: The last layer's (B*T,N,4).
            mask_features: F_seg (B*T,C,h,w).
            clips: B clips.
        """
        sizes = image_sizes(clips, boxes).repeat_interleave(len(clips[0]), 0)
        logits = self._draw(mask_features, self.controller(hidden_states), boxes[..., :2], sizes).float()
        scores = self.cls_branches[-1](hidden_states)[..., 0].float().sigmoid()
        frames = flatten_samples(clips)
        corners = bbox_cxcywh_to_xyxy(boxes.float()) * original_sizes(frames, scores)[:, None]
        for frame, logit, box, score in zip(frames, logits, corners, scores, strict=True):
            height, width = frame.ori_shape[:2]
            if self.test_cfg['candidates'] == 'smooth':
                masks = self.to_original_size(logit, frame) > 0
            else:
                binary = self._cut_padding(logit, frame).gt(0)[None].float()
                masks = F.interpolate(binary, (height, width))[0] > 0.5
            frame.pred_candidates = InstanceData(
                masks=masks,
                bboxes=box,
                scores=score,
            )

    def _cut_padding(self, logits: Tensor, frame: DetDataSample) -> Tensor:
        """Mask logits (M,h,w) -> enlarged to the network's input and cut to the unpadded part of it."""
        stride, (height, width) = self.mask_head.stride, frame.img_shape[:2]
        logits = F.interpolate(logits[None], scale_factor=stride, mode='bilinear', align_corners=False)[0]
        return logits[:, :height, :width]

    def to_original_size(self, logits: Tensor, frame: DetDataSample) -> Tensor:
        """Mask logits (M,h,w) -> (M,H,W) at ``ori_shape``, straight from the mask stride unless it is padded."""
        logits = logits.float()
        if tuple(frame.img_shape[:2]) != tuple(frame.batch_input_shape):
            logits = self._cut_padding(logits, frame)
        return F.interpolate(logits[None], tuple(frame.ori_shape[:2]), mode='bilinear', align_corners=False)[0]
