"""A2D-Sentences."""

import os.path as osp
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from mmengine.logging import MMLogger

from ifirvos.errors import AnnotationError, InputError, MissingFileError
from ifirvos.json_files import check_regular, read_json
from ifirvos.registry import DATASETS
from ifirvos.safe_names import checked_name
from ifirvos.video.reader import VideoReader

from .annotated_frame_dataset import AnnotatedFrameDataset, read_rows, read_sentence_table

SPLITS = {'train': '0', 'test': '1'}  # as videoset.csv numbers them
_VIDEO_ID, _SUBSET = 0, 8  # columns of videoset.csv, which has no header
# Common places of the sentences: those of MTTR and ReferFormer, the data root, LAVT.
_TEXT_FOLDERS = ('text_annotations', '', 'Release')
_MOST_INSTANCES = 10_000  # of a frame
_CLIP_FOLDERS = ('Release/clips320H', 'clips320H')


@DATASETS.register_module()
class A2DSentencesDataset(AnnotatedFrameDataset):
    """A2D-Sentences (Gavrilyuk et al., CVPR 2018) in its official layout::

        data_root/
          Release/videoset.csv                no header; column 1 the video, column 9 its subset: 0 train, 1 test
          Release/clips320H/{video}.mp4
          text_annotations/a2d_annotation.txt                                video_id,instance_id,query
          text_annotations/a2d_missed_videos.txt                             videos to leave out
          text_annotations/a2d_annotation_with_instances/{video}/{frame}.h5  instance, reMask; frames count from 1

    (the last three may also be directly in ``data_root``, or in ``Release``). A few frames of a video are annotated.

    A record is a sentence and an annotated frame that shows its object, the key frame. ``exp_id`` is
    ``v_{video}_f_{frame}_i_{instance}``, the image id in MTTR's COCO files. The instances of a frame are in its .h5
    file; to avoid opening all of them, MTTR's lists are used if they are in ``data_root``:
    ``a2d_sentences_single_frame_{split}_annotations.json``, rows of sentence, video, frame (from 1), instance.

    Args:
        data_root: The folder above.
        split: ``'train'`` or ``'test'``.
        ann_file: A list as above, relative to ``data_root``; None: use it if it exists; '': do not use it.
        coco_file: For testing: masks from MTTR's COCO file
            (``a2d_sentences_test_annotations_in_coco_format.json``) instead of the .h5 files. The pipeline then needs
            ``LoadRVOSMasks(reader='coco')``, else ``reader='a2d_h5'``.
        test_mode: By default for the test split.
        **kwargs: Arguments of :class:`AnnotatedFrameDataset`.

    Raises:
        FileNotFoundError: If a list or folder is missing; names it.
        ValueError: If ``split`` is unknown, or a list has another structure.
    """

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        ann_file: str | None = None,
        coco_file: str = '',
        test_mode: bool | None = None,
        **kwargs,
    ) -> None:
        if split not in SPLITS:
            raise InputError(f'Unknown split {split!r} of A2D-Sentences: use one of {list(SPLITS)}.')
        self.split = split
        self.coco_file = coco_file
        if ann_file is None:
            ann_file = f'a2d_sentences_single_frame_{split}_annotations.json'
            ann_file = ann_file if osp.isfile(osp.join(data_root, ann_file)) else ''
        super().__init__(
            data_root=data_root,
            ann_file=ann_file,
            test_mode=split == 'test' if test_mode is None else test_mode,
            **kwargs,
        )

    def load_annotations(self) -> tuple[Mapping[str, Sequence[int]], list[dict]]:
        """See :meth:`BaseRVOSDataset.load_annotations`; the frame names are the numbers of the frames, from 1."""
        self.clip_dir = self._find(_CLIP_FOLDERS, '')
        self.mask_dir = None if self.coco_file else self._find(_TEXT_FOLDERS, 'a2d_annotation_with_instances')
        self.segmentations = self._read_coco_file() if self.coco_file else {}
        if self.coco_file and not self.ann_file:
            raise MissingFileError(
                'coco_file replaces the masks alone: put the list of sentences, a2d_sentences_single_frame_'
                f'{self.split}_annotations.json, into {self.data_root}, or name it with ann_file.'
            )
        rows = self._read_list() if self.ann_file else self._list_frames()
        videos = _ClipFrames(self.clip_dir, dict.fromkeys(row[1] for row in rows))
        expressions = [
            dict(
                video_id=video_id,
                exp_id=f'v_{video_id}_f_{frame}_i_{instance}',
                text=text,
                kind='',
                obj_id=instance,
                key_frame_id=frame - 1,
            )
            for text, video_id, frame, instance in rows
        ]
        if self.coco_file:  # every record's frame shows its object
            missing = [one['exp_id'] for one in expressions if one['exp_id'] not in self.segmentations]
            if missing:
                raise AnnotationError(
                    f'{self.coco_file} has no mask of {missing[0]} and {len(missing) - 1} others of the {self.split} '
                    'split: it is of another split, or incomplete.'
                )
        return videos, expressions

    def frame_info(self, expression: dict, frame_name: int) -> dict:
        """See :meth:`BaseRVOSDataset.frame_info`; with ``coco_file`` also ``segmentations``."""
        video_id = expression['video_id']
        info = dict(img_path=f'{self.clip_dir}/{video_id}.mp4')
        if self.coco_file:
            return dict(info, mask_path=self.coco_file, segmentations=self.segmentations[expression['exp_id']])
        return dict(info, mask_path=f'{self.mask_dir}/{video_id}/{frame_name:05d}.h5')

    def _find(self, folders: Sequence[str], name: str) -> str:
        candidates = [osp.join(self.data_root, folder, name).rstrip('/') for folder in folders]
        for path in candidates:
            if osp.exists(path):
                return path
        raise FileNotFoundError(f'None of {", ".join(candidates)} exists: set data_root to the folder that holds it.')

    def _read_list(self) -> list[tuple[str, str, int, int]]:
        """Rows of sentence, video, frame (from 1) and instance, from the list that circulates."""
        content = read_json(self.ann_file, 'list')
        try:
            return [(text, video, int(frame), int(instance)) for text, video, frame, instance in content]
        except (TypeError, ValueError, OverflowError) as error:
            raise AnnotationError(
                f'{self.ann_file} is no list of (sentence, video, frame, instance): {error!r}.'
            ) from error

    def _list_frames(self) -> list[tuple[str, str, int, int]]:
        """Read the same rows from the official files: open the .h5 files of the split."""
        videoset = self._find(('Release', ''), 'videoset.csv')
        subset = SPLITS[self.split]
        missed = Path(self._find(_TEXT_FOLDERS, 'a2d_missed_videos.txt')).read_text(encoding='utf-8').split()
        used = {row[_VIDEO_ID] for row in read_rows(videoset) if row[_SUBSET].strip() == subset} - set(missed)
        sentences = read_sentence_table(
            self._find(_TEXT_FOLDERS, 'a2d_annotation.txt'), ('video_id', 'instance_id', 'query')
        )
        rows = []
        shown = lru_cache(maxsize=1)(self._shown_instances)  # sentences of a video are consecutive
        for video_id, instance, text in sentences:
            if video_id not in used:
                continue
            checked_name(video_id, 'video', self.data_root)
            if not instance.isdecimal():  # the release has one: instance '1 (copy)' of T6bNPuKV-wY
                MMLogger.get_current_instance().warning(
                    'A sentence of video %s is left out: %r is no instance number.', video_id, instance
                )
                continue
            rows += [
                (text, video_id, frame, int(instance))
                for frame, instances in shown(video_id).items()
                if int(instance) in instances
            ]
        return rows

    def _shown_instances(self, video_id: str) -> dict[int, list[int]]:
        """Return the instances of every annotated frame (from 1) of a video."""
        import h5py  # an extra of this package

        shown = {}
        for path in sorted(Path(self.mask_dir, video_id).glob('[!.]*.h5')):  # '._' files are macOS's
            check_regular(path, 'mask file')
            try:
                with h5py.File(path, 'r') as file:
                    if file['instance'].size > _MOST_INSTANCES:
                        raise ValueError(f'it lists {file["instance"].size:,} instances')
                    shown[int(path.stem)] = np.ravel(file['instance']).tolist()
            except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
                raise AnnotationError(f'{path} cannot be read as an annotation of A2D-Sentences: {error!r}.') from error
        return shown

    def _read_coco_file(self) -> dict[str, list[dict]]:
        """Segmentations by image id."""
        self.coco_file = osp.join(self.data_root, self.coco_file)
        content = read_json(self.coco_file, 'COCO file')
        try:
            return {annotation['image_id']: [annotation['segmentation']] for annotation in content['annotations']}
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise AnnotationError(f'{self.coco_file} is no COCO file of A2D-Sentences: {error!r}.') from error


class _ClipFrames(Mapping):
    """The frame numbers of every video, 1..n; n is read from the file's header when it is first asked for.

    The header and not videoset.csv, because what counts is what can be decoded.
    """

    def __init__(self, folder: str, video_ids: Mapping[str, None]) -> None:
        self.folder = folder
        self.video_ids = video_ids
        self.lengths: dict[str, int] = {}

    def __getitem__(self, video_id: str) -> Sequence[int]:
        if video_id not in self.video_ids:
            raise KeyError(video_id)
        if video_id not in self.lengths:
            path = f'{self.folder}/{video_id}.mp4'
            try:
                reader = VideoReader(path)
            except FileNotFoundError as error:
                raise FileNotFoundError(f'Video {path} is missing: complete the data set.') from error
            self.lengths[video_id] = reader.num_frames or sum(1 for _ in reader)
        return range(1, self.lengths[video_id] + 1)

    def __iter__(self) -> Iterator[str]:
        return iter(self.video_ids)

    def __len__(self) -> int:
        return len(self.video_ids)
