"""mmengine's training loops, made to resume exactly: in the middle of an epoch, with workers, in any process."""

from collections.abc import Iterator
from typing import Any

from mmengine.dist import get_rank
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from ifirvos.errors import UserError, WorkerError, one_line
from ifirvos.registry import LOOPS

from .preemption import stop_if_asked
from .seeding import seed_from, seed_generators, seeded_dataloader


def raise_worker_problem(error: RuntimeError) -> None:
    """Raise, where an error is the death of a data worker, one that says what to do; else nothing.

    Raises:
        WorkerError: A data worker was killed.
    """
    if not isinstance(error, UserError) and 'DataLoader worker' in str(error):
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
        self.dataloader.sampler.set_seed(self.runner.seed)  # a resumed checkpoint has its own
        self.dataloader.sampler.set_epoch(epoch)
        self.dataloader.sampler.skip(done * self.dataloader.batch_size)
        batches = iter(self.dataloader)
        for number in range(done, len(self.dataloader)):
            try:
                yield number, next(batches)
            except StopIteration:
                return
            except RuntimeError as error:  # a signal to all processes of a group ends the workers first
                stop_if_asked(self.runner, self._iter)
                raise_worker_problem(error)
                raise

    def _recall(self, name: str) -> Any:
        return self.runner.message_hub.runtime_info.get(name)

    def _remember(self, name: str, value: Any) -> None:
        self.runner.message_hub.update_info(name, value)

    def _validate(self) -> None:
        """Run the validation; one that is stopped is run again when training is resumed."""
        self._remember('due_validation', True)
        self.runner.val_loop.run()
        self._remember('due_validation', False)

    def _catch_up(self) -> None:
        if self.runner.val_loop is not None and self._recall('due_validation'):
            print_log('The validation that was stopped is run again.', logger='current')
            self._validate()


@LOOPS.register_module()
class ResumableEpochLoop(ResumableLoop, EpochBasedTrainLoop):
    """mmengine's EpochBasedTrainLoop; an interrupted epoch continues after its last batch.

    Exact with the same batch size and number of processes; with others the epoch starts over.
    """

    def run(self) -> Any:
        """Run as mmengine does, and repeat an interrupted validation."""
        self.runner.call_hook('before_train')
        self._catch_up()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            due = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
            if self.runner.val_loop is not None and self._epoch >= self.val_begin and due:
                self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Return the rest of the epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for number, batch in self._batches(self._epoch, self._batches_done()):
            self._remember('epoch_batches_done', (number + 1, len(self.dataloader)))
            self.run_iter(number, batch)
        self._remember('epoch_batches_done', (0, len(self.dataloader)))
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
        self._catch_up()
        batches = self._all_batches()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(batches))
            self._decide_current_val_interval()
            due = self._iter % self.val_interval == 0 or self._iter == self._max_iters
            if self.runner.val_loop is not None and self._iter >= self.val_begin and due:
                self._validate()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _all_batches(self) -> Iterator[Any]:
        epoch, done = divmod(self._iter, len(self.dataloader))
        while True:
            for _, batch in self._batches(epoch, done):
                yield batch
            epoch, done = epoch + 1, 0
