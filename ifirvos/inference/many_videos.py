"""Many videos with several processes: each is processed once, finished ones are kept, failures are listed.

Every video has a folder with the results of its sentences and ``video.json``, its status, which is written last and
atomically. A run that was interrupted continues with the videos that have none.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

from ifirvos.errors import InputError, OutputError, OutputExistsError
from ifirvos.files import csv_text, make_folder, write_whole
from ifirvos.names import unique_slugs
from ifirvos.parallel import leave_interrupts_to_parent

from .folders import alone_in
from .manifest import Job

RECORD = 'video.json'
SUMMARY = 'summary.csv'
SUMMARY_COLUMNS = ('name', 'status', 'video', 'sentences', 'frames', 'seconds', 'mean_score', 'note')

# (job, folder of its video, overwrite) -> frames, mean_score, problem
Segment = Callable[[Job, Path, bool], dict]


def record_of(out: Path, job: Job) -> dict | None:
    """Return how a video went, None if it did not yet.

    Raises:
        OutputExistsError: The file of that name is not ours.
    """
    path = out / job.name / RECORD
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
        if not {'status', 'settings'} <= record.keys():
            raise ValueError
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError) as error:
        raise OutputExistsError(f'{path} is not the record of a video: move it away, or use another --out.') from error
    return record


def is_done(out: Path, job: Job, made_with: dict) -> bool:
    """Return whether a video is done.

    Args:
        out: Folder of all results.
        job: The video.
        made_with: Model and outputs of this run.

    Raises:
        OutputExistsError: It is done with other sentences, options, outputs or weights.
    """
    record = record_of(out, job)
    if record is None or record['status'] != 'done':
        return False
    settings = dict(job.settings(), **made_with)
    made = {'weights_sha256': made_with.get('weights_sha256')} | record['settings']  # former versions noted none
    different = [key for key, value in settings.items() if made.get(key) != value]
    if different:
        raise OutputExistsError(
            f'{out / job.name} was made with other settings ({different[0]}); pass --overwrite to replace it, or '
            'another --out.'
        )
    return True


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Hold a video for this process; the system lets go of it when the process ends, however that happens."""
    if folder.is_symlink():
        raise OutputError(f'{folder} is a link: results are not written through it. Remove it.')
    make_folder(folder)
    with (folder / '.claim').open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # the file system knows no locks
            pass
        yield True


def do_job(segment: Segment, job: Job, out: Path, made_with: dict, overwrite: bool) -> dict | None:
    """Segment a video and write its record.

    Args:
        segment: Segments one video.
        job: The video.
        out: Folder of all results.
        made_with: Model and outputs of this run, for the record.
        overwrite: Replace what is done.

    Returns:
        The record; None where another process has the video.
    """
    try:
        with _claimed(out / job.name) as mine:
            return _do_claimed(segment, job, out, made_with, overwrite) if mine else None
    except OSError as error:  # where nothing can be written, no record can
        return dict(status='failed', error=_in_a_line(error), settings=dict(job.settings(), **made_with))


def _do_claimed(segment: Segment, job: Job, out: Path, made_with: dict, overwrite: bool) -> dict:
    began, folder = time.monotonic(), out / job.name
    record = dict(status='done', settings=dict(job.settings(), **made_with))
    try:
        if not overwrite and is_done(out, job, made_with):
            return record_of(out, job)
        for unfinished in folder.glob('.unfinished-*'):  # of a run that was killed
            shutil.rmtree(unfinished)
        if record_of(out, job) is not None:
            (folder / RECORD).unlink(missing_ok=True)
        record.update(segment(job, folder, True))
    except OutputExistsError as error:
        return dict(status='failed', error=str(error), settings=record['settings'])
    except Exception as error:  # a failing video does not stop the others
        MMLogger.get_current_instance().debug(traceback.format_exc())
        record.update(status='failed', error=_in_a_line(error))
    record['seconds'] = round(time.monotonic() - began, 3)
    write_whole(folder / RECORD, _text_of(record))
    return record


def _text_of(record: dict) -> str:
    # A path that is no text must not take the other videos with it.
    return json.dumps(record, ensure_ascii=False, indent=1).encode(errors='backslashreplace').decode()


def _in_a_line(error: Exception) -> str:
    return f'{type(error).__name__}: {error}'.splitlines()[0]


# ---------------------------------------------------------------------- processes
def _die_with_parent() -> None:
    """End this process when its parent ends: it would go on with its video, and the next run could not have it."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work(
    connection: Connection, build: Callable[[int], Segment], number: int, out: Path, made_with: dict, overwrite: bool
) -> None:
    """Body of a worker process."""
    leave_interrupts_to_parent()
    _die_with_parent()
    try:
        segment = build(number)
    except Exception as error:  # a model that cannot be built: no other worker could either
        connection.send(('broken', f'{type(error).__name__}: {error}'))
        return
    connection.send(('ready', None))
    for job in iter(connection.recv, None):
        connection.send(('finished', do_job(segment, job, out, made_with, overwrite)))


class _Worker:
    def __init__(self, context: Any, number: int, *given) -> None:
        self.number, self.job = number, None
        self.connection, theirs = context.Pipe()
        build, *rest = given
        self.process = context.Process(target=_work, args=(theirs, build, number, *rest), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, job: Job | None) -> None:
        self.job = job
        self.connection.send(job)


def run_jobs(
    jobs: Sequence[Job],
    build: Callable[[int], Segment],
    out: Path,
    made_with: dict,
    *,
    workers: int = 1,
    overwrite: bool = False,
    finished: Callable[[Job, dict | None], None] = lambda job, record: None,
) -> None:
    """Segment videos in several processes.

    Args:
        jobs: The videos.
        build: Loads the model for the worker of that number; picklable.
        out: Folder of all results.
        made_with: Model and outputs of this run.
        workers: Processes; each has a model of its own.
        overwrite: Replace what is done.
        finished: Called after every video with its record, None where another process has it.

    Raises:
        InputError: The model cannot be built.
    """
    context = multiprocessing.get_context('spawn')  # CUDA does not survive a fork
    given = (build, out, made_with, overwrite)
    left = list(reversed(jobs))
    team = [_Worker(context, number, *given) for number in range(min(workers, len(jobs)))]
    try:
        while team:
            by_connection = {worker.connection: worker for worker in team}
            for connection in wait(list(by_connection)):
                worker = by_connection[connection]
                try:
                    what, content = connection.recv()
                except (EOFError, OSError):
                    team.remove(worker)
                    _bury(worker, out, made_with, finished)
                    if left:
                        team.append(_Worker(context, worker.number, *given))
                    continue
                if what == 'broken':
                    raise InputError(content)
                if what == 'finished':
                    finished(worker.job, content)
                if left:
                    worker.give(left.pop())
                else:
                    worker.give(None)
                    team.remove(worker)
                    worker.process.join()
    finally:
        for worker in team:
            worker.process.terminate()


def _bury(worker: _Worker, out: Path, made_with: dict, finished: Callable[[Job, dict | None], None]) -> None:
    """Write down the video that took a worker with it."""
    worker.process.join()
    if worker.job is None:
        raise InputError(f'A worker ended with code {worker.process.exitcode} before its first video: see above.')
    code = worker.process.exitcode
    how = f'signal {-code}' if code < 0 else f'exit code {code}'
    error = f'its process died ({how}); out of memory? Try fewer --workers or a smaller --memory.'
    record = dict(status='failed', error=error, settings=dict(worker.job.settings(), **made_with))
    with suppress(OSError):  # it may be why the process died
        if not (out / worker.job.name).is_symlink():
            write_whole(out / worker.job.name / RECORD, _text_of(record))
    finished(worker.job, record)


# ---------------------------------------------------------------------- the model, and the table
class ModelWorker:
    """Loads the model in a worker, and segments videos with it.

    Args:
        model: Arguments of ``RVOSInferencer``; without ``device``, the workers share out the GPUs.
        save: What to write, see ``ifirvos.inference.writers.SAVES``.
        threads: CPU threads of each worker.
        score_threshold: For videos that have none of their own.
        style: How the overlays are drawn, one of :data:`ifirvos.visualization.STYLES`; None: the first.
        reading: Further arguments of ``VideoReader``, for all videos.
    """

    def __init__(
        self,
        model: dict,
        save: Sequence[str],
        threads: int | None = None,
        score_threshold: float | None = None,
        style: str | None = None,
        reading: dict | None = None,
    ) -> None:
        self.model, self.save, self.threads = model, tuple(save), threads
        self.score_threshold, self.style, self.reading = score_threshold, style, dict(reading or {})

    def __call__(self, number: int) -> Segment:
        """Load the model of the worker ``number``."""
        import torch

        from .inferencer import RVOSInferencer

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        options = dict(self.model)
        if options.get('device') is None and torch.cuda.is_available():
            first = int(os.environ.get('LOCAL_RANK', 0))
            options['device'] = f'cuda:{(first + number) % torch.cuda.device_count()}'
        self.inferencer = RVOSInferencer(**options, show_progress=False)
        return self.segment

    def segment(self, job: Job, folder: Path, overwrite: bool) -> dict:
        """Segment one video into its folder."""
        from ifirvos.video.reader import VideoReader

        from .exporters import FOLDER
        from .folders import RESULT_FILE
        from .writers import ResultWriter

        inferencer, texts = self.inferencer, list(job.sentences)
        reader = VideoReader(job.video, fps=job.fps, max_frames=job.max_frames, **self.reading)
        folders = [folder / name for name in unique_slugs(texts)]
        threshold = self.score_threshold if job.score_threshold is None else job.score_threshold
        scores, info = [], inferencer.about(threshold)
        style = {} if self.style is None else dict(style=self.style)
        with ResultWriter(folders, texts, reader, save=self.save, info=info, overwrite=overwrite, **style) as writer:
            for window in inferencer.stream(reader, texts, score_threshold=threshold):
                writer.write(window)
                scores += [float(score) for result in window.results for score in result.scores]
        kept = {*folders, folder / FOLDER} if writer.exports else {*folders}
        for other in folder.iterdir():  # of sentences that the manifest no longer has
            if other not in kept and not other.is_symlink() and (other / RESULT_FILE).is_file():
                shutil.rmtree(other)
        mean = round(sum(scores) / len(scores), 4) if scores else None
        return dict(frames=writer.num_frames, mean_score=mean, problem=reader.problem)


def write_summary(out: Path, jobs: Sequence[Job], made_with: dict) -> list[dict]:
    """Write ``summary.csv`` of all videos of a manifest, whichever machine did them, and return its rows."""
    rows = []
    for job in jobs:
        try:
            is_done(out, job, made_with)
            record = record_of(out, job) or dict(status='not done')
        except OutputExistsError as error:
            record = dict(status='failed', error=str(error))
        rows.append(
            dict(
                name=job.name,
                status=record['status'],
                video=job.shown,
                sentences=len(job.sentences),
                frames=record.get('frames'),
                seconds=record.get('seconds'),
                mean_score=record.get('mean_score'),
                note=record.get('error') or record.get('problem') or '',
            )
        )
    with alone_in(out):  # all processes of a finished manifest write it at the same time
        write_whole(out / SUMMARY, csv_text(rows, SUMMARY_COLUMNS))
    return rows
