"""Ref-YouTube-VOS, and every data set in its layout."""

import json
import os.path as osp
from collections.abc import Sequence

from ifirvos.registry import DATASETS

from .base_rvos_dataset import BaseRVOSDataset


@DATASETS.register_module()
class RefYouTubeVOSDataset(BaseRVOSDataset):
    """Ref-YouTube-VOS (Seo et al., URVOS, ECCV 2020) in its official layout::

        data_root/
          meta_expressions/{split}/meta_expressions.json
          {split}/JPEGImages/{video}/{frame}.jpg
          {split}/Annotations/{video}/{frame}.png    palette PNG, pixel value = object id; train only in the release

    An expression without ``obj_id``, or a split without ``Annotations``, has no masks: fine for test, not for training.

    Args:
        data_root: The folder above.
        split: ``'train'``, ``'valid'`` or ``'test'``.
        ann_file: The expression file, if not the one above; relative to ``data_root``.
        test_mode: One record an expression and nothing random; by default for every split but train.
        **kwargs: For :class:`BaseRVOSDataset`.

    Raises:
        FileNotFoundError: If the expression file or a folder is missing; names it.
        ValueError: If the expression file has another structure, or training lacks masks.
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
            ann_file=ann_file or f'meta_expressions/{split}/meta_expressions.json',
            data_prefix=dict(img_path=f'{split}/JPEGImages', mask_path=f'{split}/Annotations'),
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
        for video_id, video in self._read_expression_file().items():
            videos[video_id] = tuple(sorted(video['frames']))
            for exp_id, raw in video['expressions'].items():
                expression = self.parse_expression(video_id, exp_id, raw)
                if expression is not None:
                    expressions.append(expression)
        return videos, expressions

    def parse_expression(self, video_id: str, exp_id: str, raw: dict) -> dict | None:
        """One expression of the file, in the form of :meth:`BaseRVOSDataset.load_annotations`; None leaves it out."""
        obj_id = raw.get('obj_id')
        if obj_id is None and not self.test_mode:
            raise ValueError(f'Expression {exp_id} of video {video_id} in {self.ann_file} has no obj_id to train on.')
        return dict(
            video_id=video_id,
            exp_id=exp_id,
            text=raw['exp'],
            kind='',
            obj_id=None if obj_id is None else int(obj_id),
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

    def _read_expression_file(self) -> dict[str, dict]:
        try:
            with open(self.ann_file, encoding='utf-8') as file:
                return json.load(file)['videos']
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'Expression file {self.ann_file} is missing: set data_root to the folder that holds it.'
            ) from error
        except (KeyError, json.JSONDecodeError) as error:
            raise ValueError(f'{self.ann_file} is not a meta_expressions.json: {error!r}.') from error
