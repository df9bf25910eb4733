"""RVOSVisualizer: mmdet's visualizer for the referred object in a frame."""

from __future__ import annotations

import os
from collections.abc import Sequence

import mmcv
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.dist import master_only
from mmengine.structures import InstanceData
from mmengine.visualization import LocalVisBackend

from ifirvos.errors import InputError
from ifirvos.registry import VISUALIZERS
from ifirvos.structures import stack

from .attention import WordAttention
from .drawing import COLORS, draw_caption, draw_contour, draw_mask, object_color

PARTS = ('mask', 'contour', 'box', 'text', 'score', 'reference_points', 'candidates', 'attention')
SHOWN = ('mask', 'contour', 'box', 'text', 'score')
TRUTH_COLOR = COLORS[2]


@VISUALIZERS.register_module()
class RVOSVisualizer(DetLocalVisualizer):
    """Draws the prediction for a sentence in a frame, beside the ground truth if there is one.

    What it draws of a frame's data sample (coordinates and sizes are those of the picture):

    - ``gt_instances`` masks: a panel on the left with the ground truth
    - ``pred_track_instances`` masks, bboxes, scores: a panel with the prediction
    - ``pred_reference_points`` points (N,2) and ``pred_candidates`` masks, bboxes, scores, of all N queries, where
      :func:`explain` has put them there: in the same panel
    - ``word_attention``, a :class:`WordAttention`: one panel per word, from blue (minimum of the frame) to red
      (maximum). The range is written on the panel

    Args:
        parts: What to draw, of ``PARTS``.
        alpha: Opacity of masks and heat maps.
        line_width: Width of outlines and boxes, in pixels.
        mask_color: RGB of the predicted object; default: orange.
        max_words: Maximum number of heat maps per frame.
        name: For mmdet's ``DetLocalVisualizer``.
        *args: For the same.
        **kwargs: For the same: ``vis_backends``, ``save_dir``, ….

    Raises:
        ValueError: an unknown part.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        *args,
        parts: Sequence[str] = SHOWN,
        alpha: float = 0.5,
        line_width: int = 2,
        mask_color: tuple[int, int, int] | None = None,
        max_words: int = 8,
        **kwargs,
    ) -> None:
        if unknown := set(parts) - set(PARTS):
            raise InputError(f'parts must be of {PARTS}, not {sorted(unknown)}')
        super().__init__(name, *args, alpha=alpha, line_width=line_width, mask_color=mask_color or COLORS[0], **kwargs)
        self.parts = frozenset(parts)
        self.max_words = max_words

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: DetDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.0,
        step: int = 0,
        text: str = '',
    ) -> None:
        """Draw a frame and pass it to every backend (or show it, or write it to ``out_file``), as mmdet does.

        Args:
            name: Name of the picture; '/' makes folders.
            image: uint8 (H, W, 3) RGB.
            data_sample: See the class.
            draw_gt: Draw the ground truth, if there is one.
            draw_pred: Draw the prediction, if there is one.
            show: Open a window instead of using the backends.
            wait_time: Seconds before the window closes.
            out_file: Write the image to this file instead of using the backends.
            pred_score_thr: Score below which the object is not drawn, but its score is.
            step: Training step, for the backends.
            text: The sentence.
        """
        drawn = self.draw_frame(image, data_sample, text, draw_gt, draw_pred, pred_score_thr)
        self.set_image(drawn)  # for get_image()
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(np.ascontiguousarray(drawn[..., ::-1]), out_file)
        elif not show:
            self.add_image(name, drawn, step)

    @master_only
    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        """As mmengine's; names with '/' also work with the local backend.

        It writes NAME_STEP.png with ``cv2.imwrite``, which fails silently if the folder does not exist.
        """
        for backend in self._vis_backends.values():
            if isinstance(backend, LocalVisBackend):
                folder = os.path.dirname(os.path.join(backend.experiment._img_save_dir, name))
                os.makedirs(folder, exist_ok=True)
        super().add_image(name, image, step)

    def draw_frame(
        self,
        image: np.ndarray,
        data_sample: DetDataSample | None,
        text: str = '',
        draw_gt: bool = True,
        draw_pred: bool = True,
        pred_score_thr: float = 0.0,
    ) -> np.ndarray:
        """Draw the panels side by side, uint8 RGB (H, panels * W, 3); arguments as :meth:`add_datasample`."""
        panels, sample = [], DetDataSample() if data_sample is None else data_sample
        if draw_gt and 'masks' in sample.get('gt_instances', ()):
            panels.append(self._draw_truth(image, sample.gt_instances, text))
        if draw_pred and 'pred_track_instances' in sample:
            panels.append(self._draw_prediction(image, sample, text, pred_score_thr))
        if draw_pred and 'attention' in self.parts and 'word_attention' in sample:
            panels += self.draw_attention(image, sample.word_attention)
        return np.concatenate(panels or [image], axis=1)

    def _draw_truth(self, image: np.ndarray, instances: InstanceData, text: str) -> np.ndarray:
        mask = stack(instances.masks).astype(bool).any(0)  # several instances are one object, none is an absent one
        out = self._paint(image, mask if mask.size else np.zeros(image.shape[:2], bool), TRUTH_COLOR)
        return draw_caption(out, text, 'truth' if mask.any() else 'truth: absent') if 'text' in self.parts else out

    def _draw_prediction(self, image: np.ndarray, sample: DetDataSample, text: str, threshold: float) -> np.ndarray:
        instances = sample.pred_track_instances
        score = float(instances.scores[0])
        out = image
        if score >= threshold:
            out = self._paint(image, stack(instances.masks).astype(bool)[0], self.mask_color)
        self.set_image(out)
        if 'candidates' in self.parts and 'pred_candidates' in sample:
            self._add_candidates(sample.pred_candidates)
        if 'box' in self.parts and score >= threshold:
            self._add_boxes(instances.bboxes[:1], [self.mask_color], '-')
        if 'reference_points' in self.parts and 'pred_reference_points' in sample:
            points = _numpy(sample.pred_reference_points.points)
            self.draw_points(points, [_hex(object_color(n)) for n in range(len(points))], '*', np.array([60]))
        out = self.get_image()
        note = f'{100 * score:.0f} %' if 'score' in self.parts else ''
        if score < threshold:
            note = f'{note} absent'.strip()
        if 'text' in self.parts or note:
            out = draw_caption(out, text if 'text' in self.parts else '', note)
        return out

    def _paint(self, image: np.ndarray, mask: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
        alpha = self.alpha if 'mask' in self.parts else 0
        return draw_mask(image, mask, color, alpha, self.line_width if 'contour' in self.parts else 0)

    def _add_candidates(self, candidates: InstanceData) -> None:
        """Outline, dashed box and score of every query, each in its own colour."""
        colors = [object_color(n) for n in range(len(candidates))]
        canvas = self.get_image().copy()
        for mask, color in zip(stack(candidates.masks).astype(bool), colors, strict=True):
            draw_contour(canvas, mask, color)
        self.set_image(canvas)
        self._add_boxes(candidates.bboxes, colors, '--')
        corners = _numpy(candidates.bboxes)[:, 2:].clip(0, [self.width - 1, self.height - 1])
        self.draw_texts(
            [f'{n}: {100 * float(score):.0f}' for n, score in enumerate(candidates.scores)],
            corners,
            font_sizes=9,
            colors=[_hex(color) for color in colors],
            vertical_alignments='bottom',
            horizontal_alignments='right',
        )

    def _add_boxes(self, boxes: torch.Tensor, colors: list[tuple[int, int, int]], style: str) -> None:
        boxes = _numpy(boxes).clip(0, [self.width - 1, self.height - 1] * 2)  # mmengine warns of others
        self.draw_bboxes(boxes, colors, style, self.line_width / 2)

    def draw_attention(self, image: np.ndarray, attention: WordAttention) -> list[np.ndarray]:
        """Return one heat map per word over the image, uint8 RGB (H, W, 3) each."""
        panels = []
        for word, weights in list(zip(attention.words, attention.maps, strict=True))[: self.max_words]:
            size = image.shape[1::-1]
            enlarged = mmcv.imresize(np.ascontiguousarray(weights), size, interpolation='bilinear')
            heat = self.draw_featmap(torch.from_numpy(enlarged)[None], image, alpha=self.alpha)
            note = f'{100 * weights.min():.0f}-{100 * weights.max():.0f} %'
            panels.append(draw_caption(heat, word, note))
        return panels


def _hex(color: tuple[int, int, int]) -> str:
    return '#{:02x}{:02x}{:02x}'.format(*color)


def _numpy(values: torch.Tensor | np.ndarray) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
