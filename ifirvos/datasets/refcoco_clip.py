"""RefCOCO, RefCOCO+ and RefCOCOg: images as videos of one frame."""

import json
import os.path as osp
from collections.abc import Sequence

from ifirvos.errors import AnnotationError, InputError
from ifirvos.json_files import read_json
from ifirvos.registry import DATASETS
from ifirvos.safe_names import shown

from .base_rvos_dataset import BaseRVOSDataset

NAMES = ('refcoco', 'refcoco+', 'refcocog')


@DATASETS.register_module()
class RefCOCOClipDataset(BaseRVOSDataset):
    """RefCOCO/+ (Yu et al., ECCV 2016) and RefCOCOg (Mao et al., CVPR 2016), one record of each (picture, expression)::

        data_root/
          train2014/COCO_train2014_000000000009.jpg         COCO 2014, training split
          {name}/instances_{name}_{split}.json              an image and an annotation of each expression

    The json is ReferFormer's: a COCO file in which every *expression* is an image (``caption``, ``file_name``,
    ``original_id``) with one annotation. From the official files, ``refs(unc).p`` and ``instances.json``,
    ``tools/dataset_converters/refcoco_to_json.py`` makes it. The pipeline needs ``LoadRVOSMasks(reader='coco')``.

    Boxes are the annotated ones, as in the reference, not those of the masks.

    A video is a picture, ``video_id`` its COCO id, and has one frame: T=1. ``PseudoVideo`` makes a clip of it for
    training jointly with videos.

    Args:
        data_root: The folder above.
        name: ``'refcoco'``, ``'refcoco+'`` or ``'refcocog'``.
        split: ``'train'``, ``'val'``, and ``'testA'``, ``'testB'`` or, of RefCOCOg, ``'test'``.
        ann_file: The json, if not the one above; relative to ``data_root``.
        img_dir: Folder of the pictures, relative to ``data_root``.
        test_mode: By default for every split but train.
        **kwargs: Arguments of :class:`BaseRVOSDataset`.

    Raises:
        FileNotFoundError: If the json or the picture folder is missing; names it.
        ValueError: If the name is unknown, or the json has another structure.
    """

    def __init__(
        self,
        data_root: str,
        name: str = 'refcoco',
        split: str = 'train',
        ann_file: str = '',
        img_dir: str = 'train2014',
        test_mode: bool | None = None,
        **kwargs,
    ) -> None:
        if name not in NAMES:
            raise InputError(f'Unknown data set {name!r}: use one of {NAMES}.')
        self.name = name
        self.split = split
        super().__init__(
            data_root=data_root,
            ann_file=ann_file or f'{name}/instances_{name}_{split}.json',
            data_prefix=dict(img_path=img_dir),
            test_mode=split != 'train' if test_mode is None else test_mode,
            **kwargs,
        )

    def load_annotations(self) -> tuple[dict[str, Sequence[str]], list[dict]]:
        """See :meth:`BaseRVOSDataset.load_annotations`; an expression also has ``box`` and ``segmentation``."""
        img_dir = self.data_prefix['img_path']
        if not osp.isdir(img_dir):
            raise FileNotFoundError(f'Picture folder {img_dir} is missing: set data_root to the folder that holds it.')
        images, annotations = self._read_file()
        videos, expressions = {}, []
        for image in images:
            try:
                video_id, exp_id = str(image.get('original_id', image['file_name'])), str(image['id'])
                videos[video_id] = (image['file_name'],)
                text, (box, segmentation) = image['caption'], annotations[image['id']]
            except KeyError as error:
                raise AnnotationError(f'{self.ann_file}: expression {image.get("id")} has no {error}.') from error
            except (AttributeError, TypeError) as error:
                raise AnnotationError(f'{self.ann_file}: image {shown(image)} is no expression: {error}.') from error
            # Object ids of COCO need 64 bits; a record knows one object only.
            expressions.append(
                dict(video_id=video_id, exp_id=exp_id, text=text, kind='', obj_id=1, box=box, segmentation=segmentation)
            )
        return videos, expressions

    def frame_info(self, expression: dict, frame_name: str) -> dict:
        """See :meth:`BaseRVOSDataset.frame_info`; also ``segmentations`` and the annotated ``box``."""
        return dict(
            img_path=f'{self.data_prefix["img_path"]}/{frame_name}',
            mask_path=self.ann_file,
            segmentations=[json.loads(expression['segmentation'])],
            box=expression['box'],
        )

    def _read_file(self) -> tuple[list[dict], dict]:
        """Return the images, each an expression, and by image id its box (x1, y1, x2, y2) and its segmentation as json.

        Text takes a tenth of the memory of lists of numbers, and the expressions of one object share theirs.
        """
        content = read_json(self.ann_file, 'annotation file (tools/dataset_converters/refcoco_to_json.py makes it)')
        try:
            shared, annotations = {}, {}
            for annotation in content['annotations']:
                text = json.dumps(annotation['segmentation'])
                x, y, width, height = _numbers(annotation['bbox'])
                annotations[annotation['image_id']] = ((x, y, x + width, y + height), shared.setdefault(text, text))
            return content['images'], annotations
        except KeyError as error:
            raise AnnotationError(
                f'{self.ann_file} is no COCO file of expressions with masks: it lacks {error}. '
                'tools/dataset_converters/refcoco_to_json.py makes one.'
            ) from error
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise AnnotationError(f'{self.ann_file} is no COCO file of expressions: {error!r}.') from error


def _numbers(box: list) -> list[float]:
    """Return a box whose values are pixels of a picture."""
    if not all(isinstance(side, int | float) and abs(side) < 1e6 for side in box):
        raise ValueError(f'bbox {shown(box)} is not four numbers of pixels')
    return box
