"""mmengine's training loops, made to resume exactly: in the middle of an epoch, with workers, in any process."""

import bisect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, get_rank, is_main_process
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from ifirvos.errors import InputError, UserError, WorkerError, one_line
from ifirvos.files import write_whole
from ifirvos.registry import LOOPS

from .evaluation_check import check_evaluation
from .preemption import stop_if_asked
from .seeding import seed_from, seed_generators, seeded_dataloader

VALIDATED = 'last_validation'  # in the work directory, beside mmengine's last_checkpoint


def raise_worker_problem(error: Exception) -> None:
    """Raise, where an error is the death of a data worker, one that says what to do; else nothing.

    Raises:
        WorkerError: A data worker was killed.
    """
    if isinstance(error, UserError):
        return
    text = str(error)
    # The pipe breaks where it died while a batch was handed over. What a worker raises itself has 'Caught … in' before.
    broken = isinstance(error, ConnectionError | EOFError) and 'in DataLoader worker process' not in text
    if broken or 'DataLoader worker (pid' in text:
        raise WorkerError(
            f'A process that loads data was ended from outside ({one_line(error, 300)}), most often because memory '
            'ran short: go on with --resume and a smaller train_dataloader.num_workers.'
        ) from error


class ResumableLoop:
    """Base class of both loops for exact resuming.

    Besides epoch and iteration, the position in training is kept in the message hub, which mmengine stores in every
    checkpoint (it treats names starting with train, val or test as scores).
    """

    def __init__(self, runner: Any, dataloader: Any, *args, **kwargs) -> None:
        if isinstance(dataloader, dict):
            dataloader = seeded_dataloader(dataloader)
        super().__init__(runner, dataloader, *args, **kwargs)

    def run_iter(self, *args) -> None:
        """Run an iteration with its own seed."""
        seed_generators(seed_from(self.runner.seed, get_rank(), self._iter))
        try:
            super().run_iter(*args)
        except RuntimeError as error:  # torch tells of a worker's death wherever the main process is
            raise_worker_problem(error)
            raise

    def _batches(self, epoch: int, done: int) -> Iterator[tuple[int, Any]]:
        """Yield the batches of an epoch of the data behind the first ``done``, with their numbers."""
        self.dataloader.sampler.set_seed(_seed_of_all(self.runner))  # a resumed checkpoint has its own
        self.dataloader.sampler.set_epoch(epoch)
        self.dataloader.sampler.skip(done * self.dataloader.batch_size)
        batches = iter(self.dataloader)
        for number in range(done, len(self.dataloader)):
            try:
                yield number, next(batches)
            except StopIteration:
                return
            except (RuntimeError, ConnectionError, EOFError) as error:  # a signal to a group ends the workers first
                stop_if_asked(self.runner, self._iter)
                raise_worker_problem(error)
                raise

    def _recall(self, name: str) -> Any:
        return self.runner.message_hub.runtime_info.get(name)

    def _remember(self, name: str, value: Any) -> None:
        self.runner.message_hub.update_info(name, value)

    def _is_due(self, position: int, last: int) -> bool:
        """Return whether a validation follows that many iterations or epochs, of ``last``.

        The interval is that of mmengine's ``_decide_current_val_interval``, which only knows it afterwards.
        """
        step = bisect.bisect(self.dynamic_milestones, position + 1)
        at_interval = position % self.dynamic_intervals[step - 1] == 0
        return self.runner.val_loop is not None and position >= self.val_begin and (at_interval or position == last)

    def _validate(self, position: int) -> None:
        """Run the validation due, and note in the work directory that it is complete."""
        self.runner.val_loop.run()
        self._remember('due_validation', False)
        if is_main_process():
            write_whole(Path(self.runner.work_dir) / VALIDATED, f'{position}\n')

    def _catch_up(self, position: int) -> None:
        """Run the validation behind the resumed checkpoint, which was saved before it, unless it was completed."""
        if self.runner.val_loop is not None:  # now, not after days
            check_evaluation(self.runner.val_loop)
        if position == 0 and is_main_process():  # what is there is of another run
            (Path(self.runner.work_dir) / VALIDATED).unlink(missing_ok=True)
        if self.runner.val_loop is None or not self._recall('due_validation'):
            return
        done = [_read(Path(self.runner.work_dir) / VALIDATED)]
        broadcast_object_list(done)  # processes without a common disk must agree
        if done[0] == str(position):
            self._remember('due_validation', False)
            return
        print_log('The validation that was stopped is run again.', logger='current')
        self._validate(position)


def _seed_of_all(runner: Any) -> int:
    """Return the seed of the first process: what they share out must be one order, also with ``diff_rank_seed``."""
    return runner.seed - (get_rank() if runner._randomness_cfg.get('diff_rank_seed') else 0)


def _read(path: Path) -> str:
    return path.read_text(encoding='utf-8').strip() if path.is_file() else ''


@LOOPS.register_module()
class ResumableEpochLoop(ResumableLoop, EpochBasedTrainLoop):
    """mmengine's EpochBasedTrainLoop; an interrupted epoch continues after its last batch.

    Exact with the same batch size and number of processes; with others the epoch starts over.
    """

    def run(self) -> Any:
        """Run as mmengine does, and repeat an interrupted validation."""
        self.runner.call_hook('before_train')
        self._catch_up(self._epoch)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if self._is_due(self._epoch, self._max_epochs):
                self._validate(self._epoch)
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Train the rest of the epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for number, batch in self._batches(self._epoch, self._batches_done()):
            self._remember('epoch_batches_done', (number + 1, len(self.dataloader)))
            self.run_iter(number, batch)
        self._remember('epoch_batches_done', (0, len(self.dataloader)))
        self._remember('due_validation', self._is_due(self._epoch + 1, self._max_epochs))  # for its checkpoint
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _batches_done(self) -> int:
        done, of = self._recall('epoch_batches_done') or (0, 0)
        if done and of != len(self.dataloader):
            print_log(
                f'The epoch was stopped behind {done} of {of} batches, but now has {len(self.dataloader)}: it is begun '
                'anew.',
                logger='current',
            )
            return 0
        return done


@LOOPS.register_module()
class ResumableIterLoop(ResumableLoop, IterBasedTrainLoop):
    """mmengine's IterBasedTrainLoop; the data continue where they were, without reading the earlier ones again.

    Exact with the same batch size and number of processes.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        del self.dataloader_iterator  # upstream's starts the workers immediately and at the first sample

    def run(self) -> Any:
        """Run as mmengine does, with batches from the current position."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self._catch_up(self._iter)
        batches = self._all_batches()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            due = self._is_due(self._iter + 1, self._max_iters)
            self._remember('due_validation', due)  # for its checkpoint
            self.run_iter(next(batches))
            self._decide_current_val_interval()
            if due:
                self._validate(self._iter)
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _all_batches(self) -> Iterator[Any]:
        epoch, done = divmod(self._iter, len(self.dataloader))
        while True:
            begun = False
            for _, batch in self._batches(epoch, done):
                begun = True
                yield batch
            if not begun:
                raise InputError(f'The sampler of train_dataloader gave no batch in pass {epoch + 1} over the data.')
            epoch, done = epoch + 1, 0
