"""Base class of all data sets: records, clips, and resampling when augmentation loses the object."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from mmdet.datasets import BaseVideoDataset

from ifirvos.errors import AnnotationError, InputError, MissingFileError, UserError
from ifirvos.label_maps import read_palette_png
from ifirvos.registry import DATASETS

from .records import check_records


def records_by_video(records: Iterable[Mapping]) -> dict[str, list[int]]:
    """Group records by their ``video_id``.

    Args:
        records: Outputs of a data set's ``get_data_info``, or its ``expressions``, in order.

    Returns:
        The indices of every video's records, videos in the order of their first record.
    """
    videos = defaultdict(list)
    for index, record in enumerate(records):
        videos[record['video_id']].append(index)
    return dict(videos)


@DATASETS.register_module()
class BaseRVOSDataset(BaseVideoDataset):
    """A referring video data set; subclasses locate videos, sentences and masks.

    Subclasses implement :meth:`load_annotations` and :meth:`frame_info`. A record is small: the number of an expression
    and, in training, of a key frame. Frame names and sentences are stored once, and masks are read by the pipeline, so
    a quarter of a million records take about ten megabytes.

    Input of the pipeline (its first step is ``RVOSClipSample``)::

        dict(video_id, video_length, exp_id, text, kind, obj_id, sample_idx,
             key_frame_id,                                  # training with records='key_frame' only
             images=[dict(frame_id, img_id, **frame_info)]) # every frame of the video

    Args:
        records: Training only: ``'key_frame'``: one record per expression and key frame; ``'expression'``: one per
            expression, with a random key frame. In test mode always one per expression.
        key_frame_interval: Every ``key_frame_interval``-th frame is a key frame; T in ReferFormer.
        lowercase: Lower-case the sentences, as ReferFormer does. White space is collapsed too.
        verbatim: Keep the sentences unchanged, as ReferFormer does when testing on whole videos.
        max_refetch: Number of other records to try when a training pipeline returns None.
        **kwargs: Arguments of mmengine's BaseDataset: ``data_root``, ``pipeline``, ``test_mode``, ``indices``, …

    Raises:
        ValueError: If ``records`` is unknown, or ``key_frame_interval`` is below 1.
    """

    METAINFO = dict(classes=('referred object',))
    RECORDS = ('key_frame', 'expression')

    def __init__(
        self,
        *args,
        records: str = 'key_frame',
        key_frame_interval: int = 1,
        lowercase: bool = True,
        verbatim: bool = False,
        max_refetch: int = 100,
        **kwargs,
    ) -> None:
        if records not in self.RECORDS:
            raise InputError(f'Unknown records={records!r}: use one of {self.RECORDS}.')
        if key_frame_interval < 1:
            raise InputError(f'key_frame_interval must be at least 1, got {key_frame_interval}.')
        self.records = records
        self.key_frame_interval = key_frame_interval
        self.lowercase = lowercase
        self.verbatim = verbatim
        self.num_resampled = 0
        self.num_left_out = 0  # expressions of the file that cannot be trained on
        self.videos: dict[str, Sequence[str]] = {}
        self.expressions: list[dict] = []
        super().__init__(*args, max_refetch=max_refetch, **kwargs)

    def load_annotations(self) -> tuple[dict[str, Sequence[str]], list[dict]]:
        """Read the annotation files, not the masks.

        Returns:
            The frame names of every video, in order, by video id; and the expressions: dicts of ``video_id`` (str),
            ``exp_id`` (str), ``text`` (str), ``kind`` (str, '' if the data set has none), ``obj_id`` (int, or None
            if unknown) and, if only some frames may be key frames, ``key_frame_ids`` (their indices).
        """
        raise NotImplementedError

    def frame_info(self, expression: dict, frame_name: str) -> dict:
        """Return the paths of a frame.

        Args:
            expression: One of :meth:`load_annotations`'s.
            frame_name: A frame of its video.

        Returns:
            ``img_path`` (str), ``mask_path`` (str, or None without ground truth), and whatever else the mask reader of
            the pipeline needs.
        """
        raise NotImplementedError

    def load_data_list(self) -> list[dict]:
        """Make the records: ``expression_id`` and, in training by key frame, ``key_frame_id``."""
        where = self.ann_file or self.data_root or type(self).__name__
        try:
            self.videos, self.expressions = self.load_annotations()
            check_records(self.videos, self.expressions, where)
        except UserError:
            raise
        except FileNotFoundError as error:
            raise MissingFileError(str(error)) from error
        except ValueError as error:
            raise AnnotationError(str(error)) from error
        except (LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:  # another structure
            raise AnnotationError(f'{where} is not read as {type(self).__name__}: {error!r}.') from error
        for expression in self.expressions:
            expression['text'] = self.clean_text(expression['text'])
        if self.test_mode or self.records == 'expression':
            return [dict(expression_id=index) for index in range(len(self.expressions))]
        return [
            dict(expression_id=index, key_frame_id=key_frame)
            for index, expression in enumerate(self.expressions)
            for key_frame in self.key_frames(expression)
        ]

    def key_frames(self, expression: dict) -> Sequence[int]:
        """Return indices of the frames that training clips of an expression are built around."""
        every = range(len(self.videos[expression['video_id']]))
        return expression.get('key_frame_ids', every)[:: self.key_frame_interval]

    def clean_text(self, text: str) -> str:
        """Collapse white space and lower-case, unless ``verbatim``."""
        if self.verbatim:
            return text
        text = ' '.join(text.split())
        return text.lower() if self.lowercase else text

    def filter_data(self) -> list[dict]:
        """Keep every record, because masks, which show whether the object is visible, are read later."""
        return self.data_list

    def get_data_info(self, idx: int) -> dict:
        """Return record ``idx`` in full, see the class."""
        record = super().get_data_info(idx)
        expression = self.expressions[record.pop('expression_id')]
        frames = self.videos[expression['video_id']]
        images = [
            dict(frame_id=index, img_id=index, **self.frame_info(expression, name)) for index, name in enumerate(frames)
        ]
        return dict(expression, video_length=len(frames), images=images, **record)

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on a record; also in test mode its sampler chooses the frames."""
        info = self.get_data_info(idx)
        if not info['text']:
            raise InputError(
                f'Expression {info["exp_id"]} of video {info["video_id"]} is empty: write what it refers to, or take '
                'it out (the doctor lists all of them).'
            )
        try:
            return self.pipeline(info)
        except UserError:
            raise
        except (OSError, cv2.error, AssertionError) as error:  # what mmcv's loader makes of a frame
            if isinstance(error, AssertionError) and 'image' not in str(error):
                raise
            entry = f'video {info["video_id"]}, expression {info["exp_id"]}'
            if isinstance(error, FileNotFoundError):
                raise MissingFileError(f'{error} ({entry}): complete the data set.') from error
            raise AnnotationError(
                f'A frame of {entry} cannot be read ({error}): the doctor says which ones.'
            ) from error

    def __getitem__(self, idx: int) -> dict:
        """Return a packed clip; in training another record's if augmentation has lost the object of this one.

        ``num_resampled`` counts how often that happened (in this process: every worker has its own count).

        Raises:
            AnnotationError: If no record out of ``max_refetch + 1`` yields a clip, or one does not in test mode.
        """
        self.full_init()
        tries = 1 if self.test_mode else self.max_refetch + 1
        for _ in range(tries):
            data = self.prepare_data(idx)
            if data is not None:
                return data
            self.num_resampled += 1
            idx = self._rand_another()
        raise AnnotationError(
            f'{type(self).__name__}: {tries} record(s) in a row gave no clip in which the object is visible: '
            f'{self._values_of_masks(idx) or "check the masks, or crop less."}'
        )

    def _values_of_masks(self, idx: int) -> str | None:
        """Say which values a record's PNG masks hold, where the object's id is not among them."""
        info = self.get_data_info(idx)
        paths = [image['mask_path'] for image in info['images'] if str(image.get('mask_path')).endswith('.png')]
        values = sorted({int(value) for path in paths[:50] for value in np.unique(read_palette_png(path))})
        if not values or info['obj_id'] in values:
            return None
        return (
            f'the masks of video {info["video_id"]} ({paths[0]}, …) hold the values {values}, and expression '
            f'{info["exp_id"]} asks for obj_id {info["obj_id"]}: write the value of the object as obj_id, or obj_id as '
            'the value.'
        )
