"""Base class of the metrics: records that count once, groups, intervals, the table in the log, files."""

import logging
import os.path as osp
import sys
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log

from ifirvos.errors import InputError

from ..functional.masks import bootstrap_interval
from .summary import format_table, summarize, write_report


class ExpressionMetric(BaseMetric):
    """A metric whose samples are expressions, each a ``TrackDataSample`` on its video.

    A subclass turns a sample into records (:meth:`records_of`), and records into measures (:meth:`measure`) and tables
    (:meth:`details`); the interval also needs :meth:`value`, or :meth:`ends`. A record
    has ``key`` (records with the same key are duplicates), ``video_id`` and ``group``. Everything logged or written is
    in percent, except counts.

    The parent is mmengine's BaseMetric, because mmdet's BaseVideoMetric passes on the frames without the metainfo of
    the sample.

    Args:
        group_by: Metainfo key to group by, such as 'kind'. None: no groups.
        bootstrap: Draws for the confidence interval, which resamples whole videos; 0: no interval.
        confidence: Share of the draws inside the interval.
        seed: Seed of the draws.
        out_dir: Where json and csv files go. None: beside the log file of the run, if it has one.
        collect_device: Where results of several processes are collected, 'cpu' or 'gpu'.
        prefix: Prefix of the logged names and of the files.
    """

    TITLE = ''  # of the table in the log
    COLUMNS: tuple[str, ...] = ()  # the measures in the table
    INTERVAL_OF = ''  # the measure that gets an interval
    COUNT = 'n'  # the measure with the number of records; '' if some may be left out

    def __init__(
        self,
        *,
        group_by: str | None = None,
        bootstrap: int = 1000,
        confidence: float = 0.95,
        seed: int = 0,
        out_dir: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.group_by = group_by
        self.interval = dict(bootstrap=bootstrap, confidence=confidence, seed=seed)
        self.out_dir = out_dir

    def groups_named(self, names: Sequence[str] | None, argument: str) -> frozenset[str]:
        """Return the groups that an argument names.

        Raises:
            InputError: there are names, but no ``group_by``: they would fit no sample.
        """
        if names and self.group_by is None:
            raise InputError(f'{argument}={list(names)} needs group_by, the metainfo key that has these values.')
        return frozenset(names or ())

    @abstractmethod
    def records_of(self, sample: dict) -> Iterable[Any]:
        """Return the records of a sample, small and picklable."""

    @abstractmethod
    def measure(self, records: Sequence[Any]) -> dict[str, float]:
        """Return the measures of some records, in percent; counts as int."""

    def value(self, record: Any) -> float:
        """Return a record's contribution to the mean that gets an interval, a fraction."""
        raise NotImplementedError

    def ends(self, records: Sequence[Any]) -> tuple[float, float]:
        """Return the ends of the interval, fractions; here of a mean over the records."""
        values, videos = [self.value(record) for record in records], [record.video_id for record in records]
        return bootstrap_interval(values, videos, *self.interval.values())

    @abstractmethod
    def details(self, records: Sequence[Any]) -> dict[str, list[Mapping[str, Any]]]:
        """Return further tables by name, such as one row per expression."""

    def about(self) -> dict[str, Any]:
        """Return settings that belong in the json file."""
        return {}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Score a batch.

        Args:
            data_batch: Not used.
            data_samples: ``TrackDataSample.to_dict()`` of every clip.

        Raises:
            KeyError: if a sample lacks a metainfo key, or a frame its annotation or prediction.
            ValueError: if a predicted mask has another size than the annotated one.
        """
        for sample in data_samples:
            self.results.extend(self.records_of(sample))

    def evaluate(self, size: int) -> dict[str, float]:
        """Evaluate without cutting the collected results to ``size``, the number of samples of the data set.

        The parent cuts them, to drop samples that a distributed sampler repeats at the end. Here repeated records are
        recognised by their keys, in any order.
        """
        metrics = super().evaluate(sys.maxsize)
        counted = metrics.get(f'{self.prefix}/{self.COUNT}')
        if counted is not None and counted < size:
            print_log(
                f'The data set has {size} samples, but only {counted} different ones were evaluated: two samples share '
                'their ids, or some were left out.',
                logger='current',
                level=logging.WARNING,
            )
        return metrics

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the measures of the records, each counted once; log the table and write the files."""
        unique: dict[Any, Any] = {}
        for record in results:
            unique.setdefault(record.key, record)
        return self.report(list(unique.values()))

    def report(self, records: Sequence[Any]) -> dict[str, float]:
        """Compute the measures, overall and by group, without prefix; log the table and write the files."""
        logger = MMLogger.get_current_instance()
        summary = summarize(records, self.measure, self.INTERVAL_OF, self.ends if self.interval['bootstrap'] else None)
        logger.info('%s in percent\n%s', self.TITLE, format_table(summary, self.COLUMNS, self.group_by))
        out_dir = self.out_dir or (logger.log_file and osp.dirname(logger.log_file))
        if out_dir:
            name = self.prefix.replace('/', '_')
            about = dict(group_by=self.group_by, **self.about(), **self.interval)
            write_report(out_dir, name, summary, self.COLUMNS, self.details(records), **about)
            logger.info('The table and its details are in %s as %s_*', out_dir, name)
        groups = {f'{name}/{key}': value for name, row in summary['groups'].items() for key, value in row.items()}
        return summary['overall'] | groups
