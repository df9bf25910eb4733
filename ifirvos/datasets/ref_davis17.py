"""Ref-DAVIS17, straight from the DAVIS 2017 tree or from its copy in the layout of Ref-YouTube-VOS."""

import logging
import os
import os.path as osp
import re
from collections.abc import Sequence

from mmengine.logging import print_log

from ifirvos.errors import AnnotationError, InputError, MissingFileError
from ifirvos.json_files import read_regular
from ifirvos.registry import DATASETS
from ifirvos.safe_names import checked_name

from .base_rvos_dataset import BaseRVOSDataset
from .records import object_number, read_expression_file

# Two people described every object twice: after its first frame and after the whole video. The literature counts that
# as four annotators, in this order (ReferFormer, convert_davis_to_ytvos.py).
TEXT_FILES = (
    'Davis17_annot1.txt',
    'Davis17_annot1_full_video.txt',
    'Davis17_annot2.txt',
    'Davis17_annot2_full_video.txt',
)
KINDS = ('first_frame', 'full_video', 'first_frame', 'full_video')

# What the text files call three training videos -> what DAVIS calls them.
MISSPELT_VIDEOS = {'clasic-car': 'classic-car', 'dog-scale': 'dogs-scale', 'motor-bike': 'motorbike'}

_QUOTES = '"\u201c\u201d\x93\x94'  # the last two are curly quotes of Windows, read as latin-1
_LINE = re.compile(r'(\S+)\s+(\S+)\s*(.*)')


def read_sentences(path: str) -> dict[str, dict[int, str]]:
    """Return the sentences of one text file, whose lines are ``video object "sentence"``, in any order.

    Annotator 2's files are latin-1, annotator 1's utf-8: what is no utf-8 is taken for latin-1, so re-encoded copies
    are read as well.

    Returns:
        By video, by object id. Of two sentences about one object the first counts, and a warning tells.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If a line has another form.
    """
    try:
        content = read_regular(path)
    except MissingFileError as error:
        raise MissingFileError(
            f'{path} is missing: unpack davis_text_annotations.zip of Ref-DAVIS17 there, or set text_root.'
        ) from error
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError:
        text = content.decode('latin-1')
    sentences: dict[str, dict[int, str]] = {}
    # Not splitlines(): that also splits at latin-1's control characters.
    for number, line in enumerate(text.split('\n'), 1):
        if not line.strip():
            continue
        where = f'Line {number} of {path}'
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(f'{where} is not of the form: video object "sentence".')
        video_id, obj_id, sentence = match.groups()
        objects = sentences.setdefault(MISSPELT_VIDEOS.get(video_id, video_id), {})
        obj_id = object_number(obj_id, where)
        if obj_id in objects:
            print_log(f'{where} describes its object a second time: ignored.', 'current', logging.WARNING)
        objects.setdefault(obj_id, ' '.join(sentence.strip(_QUOTES).split()))  # blanks as in the official conversion
    return sentences


@DATASETS.register_module()
class RefDAVIS17Dataset(BaseRVOSDataset):
    """Ref-DAVIS17 (Khoreva et al., ACCV 2018): 60 videos to train, 30 to validate, 4 sentences an object.

    Read as it is downloaded, nothing moved or converted::

        data_root/                    the folder DAVIS may also be data_root itself
          DAVIS/JPEGImages/480p/{video}/{frame}.jpg
          DAVIS/Annotations_unsupervised/480p/{video}/{frame}.png    palette PNG, pixel value = object id, 255 = void
          DAVIS/ImageSets/2017/{train,val}.txt
          davis_text_annotations/Davis17_annot{1,2}{,_full_video}.txt    or below DAVIS

    or, where there is a ``meta_expressions``, from the copy many methods share::

        data_root/
          meta_expressions/{train,valid}/meta_expressions.json    4 sentences an object, the annotators in turn
          {train,valid}/JPEGImages, {train,valid}/Annotations

    Both give the same records: expression ``4 k + a`` is what annotator ``a`` says of the ``k``-th object of the video.
    An expression also has ``annotator`` (int, 0 to 3: an index of ``TEXT_FILES``), and its ``kind`` is
    ``'first_frame'`` or ``'full_video'``. A mask of one object does not tell void from background; a metric that needs
    void reads ``mask_path``.

    Args:
        data_root: One of the two folders above.
        split: ``'train'`` or ``'valid'`` (``'val'`` is the same).
        text_root: Folder of the text files, if not one of the above; relative to ``data_root``.
        annotators: Which annotators to keep; None keeps all four. One is enough to train on.
        test_mode: One record an expression and nothing random; by default for every split but train.
        **kwargs: Arguments of :class:`BaseRVOSDataset`.

    Raises:
        FileNotFoundError: If a list, a text file or a folder is missing, or a video has frames without mask or masks
            without frame; names it.
        ValueError: If a file has another structure, or an object to evaluate lacks a sentence.
    """

    def __init__(
        self,
        data_root: str,
        split: str = 'valid',
        text_root: str = '',
        annotators: Sequence[int] | None = None,
        test_mode: bool | None = None,
        **kwargs,
    ) -> None:
        self.split = split
        self.text_root = text_root
        self.annotators = range(len(TEXT_FILES)) if annotators is None else tuple(annotators)
        unknown = set(self.annotators) - set(range(len(TEXT_FILES)))
        if unknown:
            raise InputError(f'Unknown annotators {sorted(unknown)}: Ref-DAVIS17 has 0, 1, 2 and 3.')
        super().__init__(data_root=data_root, test_mode=split != 'train' if test_mode is None else test_mode, **kwargs)

    def load_annotations(self) -> tuple[dict[str, Sequence[str]], list[dict]]:
        """See :meth:`BaseRVOSDataset.load_annotations`."""
        converted = osp.isdir(osp.join(self.data_root, 'meta_expressions'))
        videos, expressions = self._load_converted() if converted else self._load_davis()
        return videos, [expression for expression in expressions if expression['annotator'] in self.annotators]

    def frame_info(self, expression: dict, frame_name: str) -> dict:
        """See :meth:`BaseRVOSDataset.frame_info`."""
        frame = f'{expression["video_id"]}/{frame_name}'
        return dict(
            img_path=f'{self.img_root}/{frame}.jpg',
            mask_path=f'{self.mask_root}/{frame}.png' if self.has_masks else None,
        )

    def _load_davis(self) -> tuple[dict[str, Sequence[str]], list[dict]]:
        inner = osp.join(self.data_root, 'DAVIS')
        root = inner if osp.isdir(inner) else self.data_root
        self._set_folders(osp.join(root, 'JPEGImages/480p'), osp.join(root, 'Annotations_unsupervised/480p'))
        list_file = osp.join(root, 'ImageSets/2017', f'{"val" if self.split == "valid" else self.split}.txt')
        try:
            video_ids = read_regular(list_file).decode('utf-8-sig').split()
        except UnicodeDecodeError as error:
            raise AnnotationError(f'{list_file} is no list of videos: it is not UTF-8.') from error
        except MissingFileError as error:
            raise MissingFileError(
                f'Video list {list_file} is missing: set data_root to the folder that holds DAVIS 2017.'
            ) from error
        for video_id in video_ids:
            checked_name(video_id, 'video', list_file)
        text_root = self._find_text_root(root)
        sentences = [read_sentences(osp.join(text_root, name)) for name in TEXT_FILES]
        videos = {video_id: self._list_frames(video_id) for video_id in video_ids}
        expressions = []
        for video_id in video_ids:
            said = [of_annotator.get(video_id, {}) for of_annotator in sentences]
            for index, obj_id in enumerate(sorted(set().union(*said))):
                for annotator, of_object in enumerate(said):
                    if obj_id in of_object:
                        exp_id = str(index * len(TEXT_FILES) + annotator)
                        expressions.append(_expression(video_id, exp_id, of_object[obj_id], obj_id, annotator))
                    elif self.test_mode:
                        raise ValueError(
                            f'Object {obj_id} of video {video_id} has no sentence in {TEXT_FILES[annotator]}: '
                            'all four annotators are needed to evaluate.'
                        )
        return videos, expressions

    def _load_converted(self) -> tuple[dict[str, Sequence[str]], list[dict]]:
        split = 'valid' if self.split == 'val' else self.split
        root = osp.join(self.data_root, split)
        self._set_folders(osp.join(root, 'JPEGImages'), osp.join(root, 'Annotations'))
        file = osp.join(self.data_root, 'meta_expressions', split, 'meta_expressions.json')
        videos, expressions = {}, []
        for video_id, video in read_expression_file(file).items():
            videos[video_id] = tuple(sorted(video['frames']))
            asked = video['expressions']
            if self.test_mode and len(asked) % len(TEXT_FILES):
                raise ValueError(f'Video {video_id} in {file} has {len(asked)} expressions, not 4 an object.')
            # By place, as every method reads it: ids need not be numbers.
            for place, (exp_id, raw) in enumerate(asked.items()):
                obj_id = object_number(raw.get('obj_id'), f'Expression {exp_id} of video {video_id} in {file}')
                expressions.append(_expression(video_id, exp_id, raw['exp'], obj_id, place % len(TEXT_FILES)))
        return videos, expressions

    def _set_folders(self, img_root: str, mask_root: str) -> None:
        self.img_root, self.mask_root = img_root, mask_root
        self.has_masks = osp.isdir(mask_root)
        if not osp.isdir(img_root):
            raise FileNotFoundError(f'Frame folder {img_root} is missing: set data_root to the folder that holds it.')
        if not self.has_masks and not self.test_mode:
            raise FileNotFoundError(f'Mask folder {mask_root} is missing: training needs it.')

    def _find_text_root(self, davis_root: str) -> str:
        if self.text_root:
            return osp.join(self.data_root, self.text_root)
        beside, inside = (osp.join(root, 'davis_text_annotations') for root in (self.data_root, davis_root))
        return beside if osp.isdir(beside) else inside

    def _list_frames(self, video_id: str) -> tuple[str, ...]:
        """List the frames in the folder, as DAVIS has no list; masks show whether one is missing."""
        frames = _stems(osp.join(self.img_root, video_id), '.jpg')
        masks = _stems(osp.join(self.mask_root, video_id), '.png') if self.has_masks else frames
        lacking = [
            *(f'{osp.join(self.img_root, video_id, name)}.jpg' for name in masks - frames),
            *(f'{osp.join(self.mask_root, video_id, name)}.png' for name in frames - masks),
        ]
        if lacking:
            raise FileNotFoundError(f'{min(lacking)} is missing: complete the data set.')
        return tuple(sorted(frames))


def _expression(video_id: str, exp_id: str, text: str, obj_id: int, annotator: int) -> dict:
    kind = KINDS[annotator]
    return dict(video_id=video_id, exp_id=exp_id, text=text, kind=kind, obj_id=obj_id, annotator=annotator)


def _stems(folder: str, suffix: str) -> set[str]:
    try:
        # Hidden files, such as the '._00000.jpg' that macOS leaves beside frames, are none.
        names = [name for name in os.listdir(folder) if name.endswith(suffix) and not name.startswith('.')]
        return {name.removesuffix(suffix) for name in names}
    except FileNotFoundError as error:
        raise FileNotFoundError(f'Video folder {folder} is missing: complete the data set.') from error
