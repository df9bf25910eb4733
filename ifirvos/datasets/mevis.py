"""MeViS: sentences about motion, which may fit several objects or none."""

import logging
import os.path as osp
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log

from ifirvos.errors import AnnotationError, MissingFileError
from ifirvos.json_files import read_json
from ifirvos.registry import DATASETS
from ifirvos.run_lengths import size_problem
from ifirvos.safe_names import shown

from .base_rvos_dataset import BaseRVOSDataset
from .records import first_there, read_expression_file

# The second edition numbers its files; of its valid the sentences without answers are published.
_EXPRESSION_FILES = ('meta_expressions.json', 'meta_expressions_v2.json', 'meta_expressions_v2_release.json')


class RLEStore:
    """The masks of many tracks, packed: as Python objects the 443,000 of MeViS take several times the memory.

    Args:
        tracks: By annotation id, for every frame of its video a compressed RLE, ``dict(size, counts)``, or None where
            the object is not seen.
    """

    def __init__(self, tracks: Mapping[str, Sequence[dict | None]]) -> None:
        self._starts: dict[str, int] = {}  # annotation id -> number of its first frame
        self._lengths: dict[str, int] = {}
        counts, ends, sizes = bytearray(), [0], []
        if not isinstance(tracks, Mapping):
            raise AnnotationError(f'the file holds {shown(tracks)}, not a dict of annotations.')
        for anno_id, track in tracks.items():
            if not isinstance(track, list):
                raise AnnotationError(f'annotation {shown(anno_id)} is {shown(track)}, not a list of masks.')
            self._starts[anno_id], self._lengths[anno_id] = len(sizes), len(track)
            for frame, rle in enumerate(track):
                if rle is not None:
                    if problem := _rle_problem(rle):
                        raise AnnotationError(f'annotation {shown(anno_id)}, mask {frame}: {problem}.')
                    counts += rle['counts'].encode('ascii')
                ends.append(len(counts))
                sizes.append((0, 0) if rle is None else rle['size'])
        self._counts = bytes(counts)
        self._ends = np.array(ends, dtype=np.int64)
        self._sizes = np.array(sizes, dtype=np.int32).reshape(-1, 2)

    def length(self, anno_id: str) -> int | None:
        """Frames of a track; None if there is no such track."""
        return self._lengths.get(anno_id)

    def get(self, anno_id: str, frame: int) -> dict | None:
        """Return the RLE of a track in a frame (index), None where the object is not seen."""
        index = self._starts[anno_id] + frame
        height, width = self._sizes[index].tolist()
        if not height:
            return None
        return dict(size=[height, width], counts=self._counts[self._ends[index] : self._ends[index + 1]])


def _rle_problem(rle: Any) -> str:
    if not isinstance(rle, dict) or not {'size', 'counts'} <= rle.keys():
        return f'it is {shown(rle)}, not a run-length code, dict(size, counts), or null'
    if not isinstance(rle['counts'], str) or not rle['counts'].isascii():
        return f'its counts are {shown(rle["counts"])}, not a compressed code'
    return size_problem(rle['size'])


@DATASETS.register_module()
class MeViSDataset(BaseRVOSDataset):
    """MeViS (Ding et al., ICCV 2023; its second edition, TPAMI 2025, adds sentences that fit no object)::

        data_root/{train,valid_u,valid}/
          JPEGImages/{video}/{frame}.jpg
          meta_expressions.json    expressions: {id: {exp, obj_id: [...], anno_id: [...]}}, frames: [...]; copies of
                                   the second edition may say meta_expressions_v2[_release].json
          mask_dict.json           {anno_id: [RLE or null for every frame]}; not for valid, whose masks are secret

    The mask of an expression is the union of its objects; they are one instance to everything behind, so ``obj_id`` is
    1 whatever their number. The annotation ids are in ``anno_ids``. Pipelines need
    ``LoadRVOSMasks(reader='coco')``.

    A sentence that fits no object cannot be trained on and is left out; in test mode its masks are known to be empty,
    its ``obj_id`` is 0 and its ``kind`` 'absent'. For others a ``kind`` in the file, which SynthRVOS writes and MeViS
    does not have, is read where it is there.

    Args:
        data_root: The folder above.
        split: ``'train'``, ``'valid_u'`` or ``'valid'``.
        ann_file: The expression file, if not the first one above; relative to ``data_root``.
        test_mode: One record an expression and nothing random; by default for every split but train.
        **kwargs: Arguments of :class:`BaseRVOSDataset`.

    Raises:
        FileNotFoundError: If a file or folder is missing; names it.
        ValueError: If a file has another structure, or an annotation is missing or shorter than its video.
    """

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        ann_file: str = '',
        test_mode: bool | None = None,
        **kwargs,
    ) -> None:
        self.split = split
        super().__init__(
            data_root=data_root,
            ann_file=ann_file or first_there(data_root, [f'{split}/{name}' for name in _EXPRESSION_FILES]),
            data_prefix=dict(img_path=f'{split}/JPEGImages', mask_path=f'{split}/mask_dict.json'),
            test_mode=split != 'train' if test_mode is None else test_mode,
            **kwargs,
        )

    def load_annotations(self) -> tuple[dict[str, Sequence[str]], list[dict]]:
        """See :meth:`BaseRVOSDataset.load_annotations`."""
        img_root = self.data_prefix['img_path']
        if not osp.isdir(img_root):
            raise FileNotFoundError(f'Frame folder {img_root} is missing: set data_root to the folder that holds it.')
        asked = read_expression_file(self.ann_file)
        self.tracks = self._read_tracks()
        videos = {video_id: tuple(sorted(video['frames'])) for video_id, video in asked.items()}
        expressions = [
            self.parse_expression(video_id, exp_id, raw, len(videos[video_id]))
            for video_id, video in asked.items()
            for exp_id, raw in video['expressions'].items()
        ]
        if self.test_mode:
            return videos, expressions
        trainable = [expression for expression in expressions if expression['anno_ids']]
        self.num_left_out = len(expressions) - len(trainable)
        if self.num_left_out:
            print_log(
                f'{self.num_left_out} of {len(expressions)} expressions in {self.ann_file} fit no object: '
                'not trained on.',
                'current',
            )
        return videos, trainable

    def parse_expression(self, video_id: str, exp_id: str, raw: dict, num_frames: int) -> dict:
        """One expression of the file; ``anno_ids`` is None where the masks are secret."""
        where = f'Expression {exp_id} of video {video_id} in {self.ann_file}'
        anno_ids = None
        if self.tracks is not None and 'anno_id' in raw:
            if not isinstance(raw['anno_id'], list):
                raise AnnotationError(f'{where}: anno_id is {shown(raw["anno_id"])}, not a list.')
            anno_ids = tuple(shown(anno_id) if not isinstance(anno_id, str) else anno_id for anno_id in raw['anno_id'])
        elif not self.test_mode:
            raise ValueError(f'{where} has no anno_id to train on.')
        for anno_id in anno_ids or ():
            length = self.tracks.length(anno_id)
            if length is None:
                raise ValueError(f'{where} names annotation {anno_id}, which {self.data_prefix["mask_path"]} lacks.')
            if length < num_frames:
                raise ValueError(f'{where}: annotation {anno_id} has {length} masks for {num_frames} frames.')
        fits_nothing = anno_ids == ()
        return dict(
            video_id=video_id,
            exp_id=exp_id,
            text=raw['exp'],
            kind='absent' if fits_nothing else raw.get('kind', ''),
            obj_id=None if anno_ids is None else int(not fits_nothing),
            anno_ids=anno_ids,
        )

    def frame_info(self, expression: dict, frame_name: str) -> dict:
        """See :meth:`BaseRVOSDataset.frame_info`; ``segmentations`` holds the RLEs of the objects seen in the frame."""
        video_id, anno_ids = expression['video_id'], expression['anno_ids']
        info = dict(img_path=f'{self.data_prefix["img_path"]}/{video_id}/{frame_name}.jpg', mask_path=None)
        if anno_ids is not None:
            frame = bisect_left(self.videos[video_id], frame_name)
            rles = (self.tracks.get(anno_id, frame) for anno_id in anno_ids)
            info.update(
                mask_path=self.data_prefix['mask_path'],
                segmentations=[rle for rle in rles if rle is not None],
            )
        return info

    def _read_tracks(self) -> RLEStore | None:
        path = self.data_prefix['mask_path']
        if not osp.exists(path):
            if not self.test_mode:
                raise MissingFileError(f'Mask file {path} is missing: training needs it.')
            print_log(f'{path} is not there: nothing can be scored on {self.split}.', 'current', logging.INFO)
            return None
        try:
            return RLEStore(read_json(path, 'mask file'))
        except AnnotationError as error:
            raise error if path in str(error) else AnnotationError(f'{path}: {error}') from error
        except (AttributeError, LookupError, TypeError, UnicodeError, OverflowError) as error:
            raise AnnotationError(f'{path} is not a mask_dict.json of compressed RLEs: {error!r}.') from error
