"""Everything that this package writes, small: what is found of it must be whole or not there."""

import json
import zipfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import matplotlib.figure  # noqa: F401  (once, not in every child)
import numpy as np
import torch
from mmengine.fileio import get_file_backend
from mmengine.logging import MessageHub
from mmengine.runner import save_checkpoint
from PIL import Image

from ifirvos.checkpoint import load_checkpoint
from ifirvos.evaluation.ablation import Cell, draw_chart, markdown, table_rows
from ifirvos.evaluation.submission.files import (
    check_submission,
    missing_expressions,
    pack_submission,
    write_expression,
)
from ifirvos.files import csv_text, write_whole
from ifirvos.inference.results import SentenceResult, WindowResult
from ifirvos.inference.writers import ResultWriter
from ifirvos.training.checkpointing import SafeCheckpointHook, latest_checkpoint

SIZE = (48, 64)
FRAMES = tuple(f'{t:05d}' for t in range(12))
EXPECTED = {(video, exp): FRAMES for video in ('a', 'b') for exp in ('0', '1', '2')}


@dataclass(frozen=True)
class Work:
    """Something that is written: ``write`` does all of it, ``check`` asserts that what is there is whole."""

    write: Callable[[], object]
    check: Callable[[], object]
    is_done: Callable[[], bool]


def checkpoints(folder: Path) -> Work:
    """Five checkpoints of 2 MB through the hook that training uses, two of which stay."""

    def write() -> None:
        hook = SafeCheckpointHook(interval=1, by_epoch=False, max_keep_ckpts=2)
        hook.out_dir = str(folder)
        runner = SimpleNamespace(work_dir=str(folder), message_hub=MessageHub('faults'), hooks=[])
        hook.file_backend = get_file_backend(backend_args=hook.backend_args)
        hook.filename_tmpl = 'iter_{}.pth'

        def save(out_dir: str, name: str, *args, backend_args: dict, **kwargs) -> None:
            step = int(name.removeprefix('iter_').removesuffix('.pth'))
            content = dict(state_dict=dict(weight=torch.full((512, 1024), float(step))), meta=dict(iter=step))
            save_checkpoint(content, f'{out_dir}/{name}', backend_args=backend_args)

        runner.save_checkpoint = save
        first = _last(folder)
        hook.keep_ckpt_ids = deque(_steps(folder)[-2:], 2)  # as it is when a run is resumed
        for step in range(first + 1, first + 6):
            hook._save_checkpoint_with_step(runner, step, {})

    def check() -> None:
        for path in folder.glob('*.pth'):
            loaded = load_checkpoint(path)
            assert (loaded['state_dict']['weight'] == loaded['meta']['iter']).all()
        if list(folder.glob('*.pth')):
            assert Path(latest_checkpoint(folder)).is_file(), 'there is always one to resume from'

    return Work(write, check, lambda: _last(folder) >= 5)


def _steps(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix('iter_')) for path in folder.glob('iter_*.pth'))


def _last(folder: Path) -> int:
    return max(_steps(folder), default=0)


def submission(folder: Path) -> Work:
    """Six expressions of twelve masks and the zip."""
    mask = np.zeros(SIZE, bool)
    mask[5:20, 8:30] = True

    def write() -> None:
        for video, exp in EXPECTED:
            write_expression(folder / 'sub', video, exp, FRAMES, [mask] * len(FRAMES))
        pack_submission(folder / 'sub', folder / 'sub.zip')

    def check() -> None:
        for expression in (folder / 'sub/Annotations').glob('*/*'):
            assert {path.stem for path in expression.iterdir()} == set(FRAMES)
        if (folder / 'sub.zip').exists():
            assert zipfile.ZipFile(folder / 'sub.zip').testzip() is None

    def is_done() -> bool:
        return not missing_expressions(folder / 'sub', EXPECTED) and not list(
            check_submission(folder / 'sub.zip', EXPECTED)
        )

    return Work(write, check, is_done)


def results(folder: Path, save: tuple[str, ...] = ('masks', 'rle', 'csv', 'objects', 'coco')) -> Work:
    """Two sentences on twelve frames."""
    frames = [np.full((*SIZE, 3), 10 * t, np.uint8) for t in range(12)]
    masks = np.zeros((12, *SIZE), bool)
    masks[:, 5:20, 8:30] = True
    parts = [
        SentenceResult(text, masks, np.full(12, 0.5, np.float32), np.tile(np.float32([8, 5, 30, 20]), (12, 1)), 2)
        for text in ('red', 'blue')
    ]

    def write() -> None:
        out = folder / 'out'
        with ResultWriter([out / 'red', out / 'blue'], ['red', 'blue'], save=save, overwrite=True) as writer:
            writer.write(WindowResult(0, frames, [t / 10 for t in range(12)], parts))

    def check() -> None:
        for name in ('red', 'blue'):
            one = folder / 'out' / name
            if one.exists():
                assert json.loads((one / 'result.json').read_text())['num_frames'] == 12
                assert len(list((one / 'masks').glob('*.png'))) == 12
                assert len(json.loads((one / 'masks.json').read_text())[0]['segmentations']) == 12

    return Work(write, check, lambda: (folder / 'out/red/result.json').is_file())


def ablation_tables(folder: Path) -> Work:
    """The tables of an ablation of six variants, and its chart."""
    cells = {kind: {'J&F': Cell(50.0, 49.0, 51.0, (49.5, 50.5))} for kind in ('all', 'attr', 'motion', 'spatial')}
    variants = {f'variant {number:02d}': cells for number in range(6)}
    table, text = csv_text(table_rows(variants)), markdown(variants, {})

    def write() -> None:
        for _ in range(3):
            write_whole(folder / 'table.md', text)
            write_whole(folder / 'table.csv', table)
        draw_chart(variants, folder / 'chart.png')

    def check() -> None:
        for name, content in (('table.md', text), ('table.csv', table)):
            if (folder / name).exists():
                assert (folder / name).read_text() == content
        if (folder / 'chart.png').exists():
            with Image.open(folder / 'chart.png') as chart:
                chart.load()

    return Work(write, check, lambda: all((folder / name).is_file() for name in ('table.md', 'table.csv', 'chart.png')))


WORKS = [checkpoints, submission, results, ablation_tables]
