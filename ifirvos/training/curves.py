"""Plots of the losses and validation scores of a run."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ifirvos.files import written_whole
from ifirvos.registry import HOOKS

Series = dict[str, list[tuple[int, float]]]  # name -> (step, value)


@HOOKS.register_module()
class CurvesHook(Hook):
    """Draws ``curves.png`` of the work directory after every validation and at the end.

    The numbers come from ``vis_data/scalars.json``, written by mmengine's LocalVisBackend in this run and in those it
    resumes.

    Args:
        scores: Suffixes of the validation scores to draw.
    """

    priority = 'LOWEST'  # behind LoggerHook

    def __init__(self, scores: tuple[str, ...] = ('J&F', 'mAP', 'oIoU')) -> None:
        self.scores = tuple(scores)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Draw."""
        self._draw(runner)

    def after_train(self, runner: Runner) -> None:
        """Draw."""
        self._draw(runner)

    @master_only
    def _draw(self, runner: Runner) -> None:
        draw_curves(Path(runner.work_dir), self.scores)


def read_lines(path: Path) -> Iterator[dict]:
    """Yield the rows of a ``scalars.json``, except an incomplete one."""
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict) and 'step' in row:
            yield row


def read_scalars(work_dir: Path) -> tuple[Series, Series]:
    """Return training and validation scalars of all runs in a work directory; for repeated steps, the last."""
    train, val = defaultdict(dict), defaultdict(dict)
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for row in read_lines(path):
            step, series = row.pop('step'), train if 'loss' in row else val
            for name, value in row.items():
                if isinstance(value, (int, float)):
                    series[name][step] = value
    return tuple({name: sorted(points.items()) for name, points in series.items()} for series in (train, val))


def draw_curves(work_dir: Path, scores: tuple[str, ...]) -> Path | None:
    """Write ``curves.png`` of a work directory; None if there is nothing to draw yet."""
    from matplotlib.figure import Figure

    train, val = read_scalars(work_dir)
    # d0.loss_cls … of the earlier layers would hide the rest.
    losses = {name: points for name, points in train.items() if 'loss' in name and '.' not in name}
    measured = {name: points for name, points in val.items() if name.endswith(scores)}
    panels = [('loss', losses, 'log'), ('score [%]', measured, 'linear')]
    panels = [panel for panel in panels if panel[1]]
    if not panels:
        return None
    figure = Figure(figsize=(7 * len(panels), 4.5), layout='constrained')
    for axes, (title, curves, scale) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, points in curves.items():
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, marker='.' if len(points) < 30 else None, label=name)
        if scale == 'log' and all(value > 0 for points in curves.values() for _, value in points):
            axes.set_yscale(scale)
        axes.set(xlabel='iteration (validation: as logged)', ylabel=title)
        axes.legend(fontsize='small')
        axes.grid(alpha=0.3)
    path = work_dir / 'curves.png'
    with written_whole(path) as part:
        figure.savefig(part, format='png', dpi=110)
    return path
