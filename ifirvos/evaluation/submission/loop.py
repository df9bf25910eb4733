"""A test loop that resumes an interrupted submission."""

from collections.abc import Sequence

from mmengine.dist import barrier
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.runner import Runner, TestLoop
from torch.utils.data import Dataset, Subset

from ifirvos.errors import InputError
from ifirvos.registry import DATASETS, LOOPS
from ifirvos.structures import frame_name

from .files import missing_expressions
from .writer import SubmissionWriter


@LOOPS.register_module()
class SubmissionLoop(TestLoop):
    """mmengine's TestLoop, which skips expressions whose masks the `SubmissionWriter` has already written.

    An expression is written if its folder has a mask of each of its frames. A folder appears only when it is complete,
    so a run may be killed at any time. With ``overwrite=True`` of the writer nothing is skipped. Where some are, other
    metrics are left out: they would be of the rest alone.

    Args:
        runner: As TestLoop.
        dataloader: Its config; its data set has one record per expression.
        evaluator: An evaluator with one `SubmissionWriter`.
        fp16: As TestLoop.

    Raises:
        ValueError: if the evaluator has no `SubmissionWriter`, or more than one.
    """

    def __init__(self, runner: Runner, dataloader: dict, evaluator: dict | Sequence[dict], fp16: bool = False) -> None:
        evaluator: Evaluator = runner.build_evaluator(evaluator)
        writers = [metric for metric in evaluator.metrics if isinstance(metric, SubmissionWriter)]
        if len(writers) != 1:
            raise InputError(f'SubmissionLoop needs one SubmissionWriter in the evaluator, not {len(writers)}.')
        self.writer = writers[0]
        dataset = DATASETS.build(dataloader['dataset'])
        todo, self.finished = split_records(dataset, self.writer)
        if self.finished:
            logger = MMLogger.get_current_instance()
            logger.warning(
                '%d of %d expressions are in %s already and stay, whatever weights made them: the model does not see '
                'them again.',
                len(self.finished),
                len(dataset),
                self.writer.out_dir,
            )
            if evaluator.metrics != [self.writer]:
                evaluator.metrics = [self.writer]
                logger.warning(
                    'Other metrics would be of the rest alone: eval_masks.py gives those of all expressions.'
                )
        barrier()  # wait until all processes have checked
        rest = Subset(dataset, todo)
        rest.metainfo = dataset.metainfo
        super().__init__(runner, dict(dataloader, dataset=rest), evaluator, fp16)

    def run(self) -> dict:
        """Run as TestLoop; expressions that were found count as written."""
        self.writer.results.extend(self.finished)
        return super().run()


def split_records(dataset: Dataset, writer: SubmissionWriter) -> tuple[list[int], list[tuple[str, str]]]:
    """Return the records that are not written yet, and the ids (video, expression) of those that are."""
    expected = {}
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        expected[str(info['video_id']), str(info['exp_id'])] = [frame_name(image) for image in info['images']]
    missing = expected if writer.overwrite else set(missing_expressions(writer.out_dir, expected))
    todo = [index for index, key in enumerate(expected) if key in missing]
    return todo, [key for key in expected if key not in missing]
