"""Ref-YouTube-VOS, and every data set in its layout."""

import os.path as osp
from collections.abc import Sequence
from typing import ClassVar

from mmengine.logging import print_log

from ifirvos.registry import DATASETS

from .base_rvos_dataset import BaseRVOSDataset
from .records import first_there, object_number, read_expression_file, read_videos
from .releases import REF_YOUTUBE_VOS, Releases

# Some copies call the validation set 'val'; some keep the frames of the test set in the folder of the validation set.
_EXPRESSION_FOLDERS = {'valid': ('valid', 'val'), 'val': ('val', 'valid')}
_FRAME_FOLDERS = {**_EXPRESSION_FOLDERS, 'test': ('test', 'valid', 'val')}


@DATASETS.register_module()
class RefYouTubeVOSDataset(BaseRVOSDataset):
    """Ref-YouTube-VOS (Seo et al., URVOS, ECCV 2020) in its official layout::

        data_root/
          meta_expressions/{split}/meta_expressions.json
          {split}/JPEGImages/{video}/{frame}.jpg
          {split}/Annotations/{video}/{frame}.png    palette PNG, pixel value = object id; train only in the release

    An expression without ``obj_id``, or a split without ``Annotations``, has no masks: fine for test, not for training.

    The validation file of the first release also lists the videos of the test set. As everybody does since, the
    validation set is what remains without them, if ``meta_expressions/test`` is there to tell; otherwise it is the
    whole file. Nothing is asserted: ``release`` and the log say which release the numbers of videos stand for.
    Copies that say ``val`` for ``valid``, or keep the frames of the test set in ``valid``, are read as they are. A
    ``kind`` of an expression, which SynthRVOS writes and Ref-YouTube-VOS does not have, is read where it is there.

    Args:
        data_root: The folder above.
        split: ``'train'``, ``'valid'`` or ``'test'``.
        ann_file: The expression file, if not the one above; relative to ``data_root``.
        test_mode: One record an expression and nothing random; by default for every split but train.
        **kwargs: Arguments of :class:`BaseRVOSDataset`.

    Raises:
        FileNotFoundError: If the expression file or a folder is missing; names it.
        ValueError: If the expression file has another structure, training lacks masks, or an object is no number.
    """

    RELEASES: ClassVar[Releases] = REF_YOUTUBE_VOS

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        ann_file: str = '',
        test_mode: bool | None = None,
        **kwargs,
    ) -> None:
        self.split = split
        self.release = ''
        names = _EXPRESSION_FOLDERS.get(split, (split,))
        asked = first_there(data_root, [f'meta_expressions/{name}/meta_expressions.json' for name in names])
        frames = first_there(data_root, [f'{name}/JPEGImages' for name in _FRAME_FOLDERS.get(split, (split,))])
        super().__init__(
            data_root=data_root,
            ann_file=ann_file or asked,
            data_prefix=dict(img_path=frames, mask_path=f'{osp.dirname(frames)}/Annotations'),
            test_mode=split != 'train' if test_mode is None else test_mode,
            **kwargs,
        )

    def load_annotations(self) -> tuple[dict[str, Sequence[str]], list[dict]]:
        """See :meth:`BaseRVOSDataset.load_annotations`."""
        img_root, mask_root = self.data_prefix['img_path'], self.data_prefix['mask_path']
        if not osp.isdir(img_root):
            raise FileNotFoundError(f'Frame folder {img_root} is missing: set data_root to the folder that holds it.')
        self.has_masks = osp.isdir(mask_root)
        if not self.has_masks and not self.test_mode:
            raise FileNotFoundError(f'Mask folder {mask_root} is missing: training needs it.')
        videos, expressions = {}, []
        for video_id, video in self.select_videos(read_expression_file(self.ann_file)).items():
            videos[video_id] = tuple(sorted(video['frames']))
            for exp_id, raw in video['expressions'].items():
                expression = self.parse_expression(video_id, exp_id, raw)
                if expression is not None:
                    expressions.append(expression)
        self.report_release(len(videos), len(expressions))
        return videos, expressions

    def select_videos(self, videos: dict[str, dict]) -> dict[str, dict]:
        """Return the videos of this split among those of its file: the validation set leaves out the test set."""
        test_file = osp.join(self.data_root, 'meta_expressions/test/meta_expressions.json')
        if self.split not in ('valid', 'val') or not osp.isfile(test_file):
            return videos
        test_videos = read_videos(test_file)
        kept = {video_id: video for video_id, video in videos.items() if video_id not in test_videos}
        if videos and not kept:
            raise ValueError(
                f'Every video of {self.ann_file} is in {test_file} too, so none is left to validate on: '
                "remove the wrong file, or set split='test'."
            )
        return kept

    def report_release(self, num_videos: int, num_expressions: int) -> None:
        """Set ``release`` and log it with the counts; a data set without ``RELEASES`` is silent."""
        if not self.RELEASES:
            return
        split = 'valid' if self.split == 'val' else self.split
        known = {counts['videos']: name for name, counts in self.RELEASES.get(split, {}).items()}
        self.release = known.get(num_videos, 'no release known by that number of videos')
        print_log(
            f'{type(self).__name__} {self.split}: {num_videos} videos, {num_expressions} expressions: {self.release}.',
            logger='current',
        )

    def parse_expression(self, video_id: str, exp_id: str, raw: dict) -> dict | None:
        """One expression of the file, in the form of :meth:`BaseRVOSDataset.load_annotations`; None leaves it out."""
        obj_id = raw.get('obj_id')
        where = f'Expression {exp_id} of video {video_id} in {self.ann_file}'
        if obj_id is None and not self.test_mode:
            raise ValueError(f'{where} has no obj_id to train on.')
        return dict(
            video_id=video_id,
            exp_id=exp_id,
            text=raw['exp'],
            kind=raw.get('kind', ''),
            obj_id=None if obj_id is None else object_number(obj_id, where),
        )

    def frame_info(self, expression: dict, frame_name: str) -> dict:
        """See :meth:`BaseRVOSDataset.frame_info`."""
        # Called for every frame of a video at every draw: formatting is several times as quick as osp.join.
        frame = f'{expression["video_id"]}/{frame_name}'
        known = self.has_masks and expression['obj_id'] is not None
        return dict(
            img_path=f'{self.data_prefix["img_path"]}/{frame}.jpg',
            mask_path=f'{self.data_prefix["mask_path"]}/{frame}.png' if known else None,
        )
