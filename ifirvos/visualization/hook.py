"""RVOSVisualizationHook: draws predictions during validation and testing."""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.structures import TrackDataSample
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch import Tensor

from ifirvos.errors import InputError
from ifirvos.registry import HOOKS
from ifirvos.structures import frame_name, spread

from .explain import explain
from .frames import read_images, safe_part
from .visualizer import RVOSVisualizer


@HOOKS.register_module()
class RVOSVisualizationHook(Hook):
    """Draws some frames of every ``interval``-th expression and passes them to all backends of the visualizer.

    Images are named ``VIDEO/EXPRESSION/FRAME``; the local backend writes
    ``vis_data/vis_image/VIDEO/EXPRESSION/FRAME_STEP.png``. Every evaluation draws the same expressions, so that they
    can be compared over a training. With several processes, the first one draws its share.

    ``RVOSVisualizer.parts`` selects what is drawn. Reference points, candidates and attention need another forward pass
    of the drawn clips.

    Args:
        draw: Draw anything; off by default, as in mmdet's hook, which this one replaces.
        interval: Draw every ``interval``-th expression.
        draw_gt: Draw the ground truth beside the prediction.
        num_frames: Evenly spaced frames per clip; None: all.
        score_thr: Score below which the object counts as absent.
        attention_level: Level whose attention is shown, 0 to 3 for strides 8 to 64.
        backend_args: Arguments of mmengine's fileio, which reads the pictures.
    """

    def __init__(
        self,
        draw: bool = False,
        interval: int = 50,
        draw_gt: bool = True,
        num_frames: int | None = 4,
        score_thr: float = 0.0,
        attention_level: int = 0,
        backend_args: dict | None = None,
    ) -> None:
        if interval < 1 or (num_frames is not None and num_frames < 1):
            raise InputError(f'interval and num_frames must be at least 1, not {interval} and {num_frames}.')
        self.draw = draw
        self.interval = interval
        self.draw_gt = draw_gt
        self.num_frames = num_frames
        self.score_thr = score_thr
        self.attention_level = attention_level
        self.backend_args = backend_args
        self._seen = 0  # expressions of this evaluation

    def before_val_epoch(self, runner: Runner) -> None:
        """Count from the start."""
        self._seen = 0

    def before_test_epoch(self, runner: Runner) -> None:
        """Count from the start."""
        self._seen = 0

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[TrackDataSample]
    ) -> None:
        """Draw every ``interval``-th expression."""
        self._draw_iter(runner, data_batch, outputs)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[TrackDataSample]
    ) -> None:
        """Draw every ``interval``-th expression."""
        self._draw_iter(runner, data_batch, outputs)

    def _draw_iter(self, runner: Runner, data_batch: dict, clips: Sequence[TrackDataSample]) -> None:
        first, self._seen = self._seen, self._seen + len(clips)
        if not self.draw or runner.rank != 0:
            return
        for index, clip in enumerate(clips):
            if (first + index) % self.interval == 0:
                self._draw(runner, data_batch['inputs'][index], clip)

    def _draw(self, runner: Runner, frames: Tensor, clip: TrackDataSample) -> None:
        visualizer = Visualizer.get_current_instance()
        if not isinstance(visualizer, RVOSVisualizer):
            raise TypeError(
                'RVOSVisualizationHook draws with an RVOSVisualizer, but the visualizer of the config is a '
                f"{type(visualizer).__name__}: set visualizer=dict(type='RVOSVisualizer')."
            )
        # Of A2D- and JHMDB-Sentences only the annotated frames are predicted.
        drawn = [t for t, frame in enumerate(clip) if 'pred_track_instances' in frame]
        drawn = [drawn[i] for i in spread(len(drawn), self.num_frames)]
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        explain(model, frames, clip, drawn, visualizer.parts, self.attention_level)
        images = read_images([clip[t] for t in drawn], self.backend_args)
        for t, image in zip(drawn, images, strict=True):
            visualizer.add_datasample(
                '/'.join(safe_part(part) for part in (clip.video_id, clip.exp_id, frame_name(clip[t]))),
                image,
                clip[t].cpu(),
                draw_gt=self.draw_gt,
                pred_score_thr=self.score_thr,
                step=runner.iter,
                text=clip.text if 'text' in clip else '',
            )
