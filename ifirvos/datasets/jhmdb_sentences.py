"""JHMDB-Sentences."""

import os.path as osp
import zlib
from collections.abc import Sequence
from pathlib import Path

from ifirvos.errors import AnnotationError
from ifirvos.json_files import check_regular, read_json
from ifirvos.registry import DATASETS
from ifirvos.safe_names import checked_path

from .annotated_frame_dataset import AnnotatedFrameDataset, read_sentence_table

METADATA_FILE = 'jhmdb_sentences_samples_metadata.json'
_FRAMES, _MASKS = 'Rename_Images', 'puppet_mask'


@DATASETS.register_module()
class JHMDBSentencesDataset(AnnotatedFrameDataset):
    """JHMDB-Sentences (Gavrilyuk et al., CVPR 2018), 928 videos with a sentence each, in its official layout::

        data_root/
          jhmdb_annotation.txt                           video_id,query
          Rename_Images/{action}/{video}/{frame}.png     frames count from 1
          puppet_mask/{action}/{video}/puppet_mask.mat   part_mask (H,W,T), one person; may end before the frames do

    It is for evaluation only: no training split, test mode by default. A record is a sentence and one frame, the key
    frame; ``exp_id`` is ``v_{video}_f_{frame}``, as in the COCO file that circulates. Published figures are over three
    random frames per video that MTTR once drew: ``jhmdb_sentences_samples_metadata.json``, rows of video, path of the
    frame, path of the masks, number of frames with a mask, sentence. It is taken where it lies in ``data_root``; its
    paths are read from ``Rename_Images`` and ``puppet_mask`` on, whatever folder they start in.

    Args:
        data_root: The folder above.
        ann_file: A list of samples as above, relative to ``data_root``; None: use it if it exists; '': do not use it.
        frames_per_video: Without such a list: how many frames of every video, evenly spaced; None: all with a mask.
        test_mode: One record a sentence and frame either way; False only says that the pipeline draws at random.
        **kwargs: Arguments of :class:`AnnotatedFrameDataset`.

    Raises:
        FileNotFoundError: If a list, folder or mask file is missing; names it.
        ValueError: If a list has another structure.
    """

    def __init__(
        self,
        data_root: str,
        ann_file: str | None = None,
        frames_per_video: int | None = 3,
        test_mode: bool = True,
        **kwargs,
    ) -> None:
        self.frames_per_video = frames_per_video
        if ann_file is None:
            ann_file = METADATA_FILE if osp.isfile(osp.join(data_root, METADATA_FILE)) else ''
        super().__init__(data_root=data_root, ann_file=ann_file, test_mode=test_mode, **kwargs)

    def load_annotations(self) -> tuple[dict[str, Sequence[int]], list[dict]]:
        """See :meth:`BaseRVOSDataset.load_annotations`; the frame names are the numbers of the frames, from 1."""
        videos, expressions = {}, []
        for folder, length, frame, text in self._read_list() if self.ann_file else self._list_frames():
            checked_path(folder, 'video', self.ann_file or self.data_root)
            video_id = osp.basename(folder)
            if not 1 <= frame <= length:
                raise ValueError(
                    f'Frame {frame} of video {video_id} has no mask: the masks are of frames 1 to {length}.'
                )
            videos[video_id] = range(1, length + 1)
            expressions.append(
                dict(
                    video_id=video_id,
                    exp_id=f'v_{video_id}_f_{frame}',
                    text=text,
                    kind='',
                    obj_id=1,  # part_mask knows one person, whose parts are numbered
                    key_frame_id=frame - 1,
                    folder=folder,
                )
            )
        return videos, expressions

    def frame_info(self, expression: dict, frame_name: int) -> dict:
        """See :meth:`BaseRVOSDataset.frame_info`; also ``mask_index``, the frame's place in the mask file."""
        folder = expression['folder']
        return dict(
            img_path=f'{self.data_root}/{_FRAMES}/{folder}/{frame_name:05d}.png',
            mask_path=f'{self.data_root}/{_MASKS}/{folder}/puppet_mask.mat',
            mask_index=frame_name - 1,
        )

    def _read_list(self) -> list[tuple[str, int, int, str]]:
        """Rows of action/video, number of frames, key frame (from 1) and sentence, from the list that circulates."""
        content = read_json(self.ann_file, 'list')
        try:
            return [
                ('/'.join(Path(frame).parts[-3:-1]), int(length), int(Path(frame).stem), text)
                for _, frame, _, length, text in content
            ]
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise AnnotationError(
                f'{self.ann_file} is no list of (video, frame path, mask path, number of frames, sentence): {error!r}.'
            ) from error

    def _list_frames(self) -> list[tuple[str, int, int, str]]:
        """Read the same rows from the official files, with evenly spaced key frames."""
        folders = {path.name: path for path in Path(self.data_root, _FRAMES).glob('[!.]*/[!.]*') if path.is_dir()}
        rows = []
        for video_id, text in read_sentence_table(f'{self.data_root}/jhmdb_annotation.txt', ('video_id', 'query')):
            if video_id not in folders:
                raise FileNotFoundError(f'{self.data_root}/{_FRAMES}/*/{video_id} is missing: complete the data set.')
            folder = f'{folders[video_id].parent.name}/{video_id}'
            masks = self._count_masks(f'{self.data_root}/{_MASKS}/{folder}/puppet_mask.mat')
            length = min(sum(1 for _ in folders[video_id].glob('[!.]*.png')), masks)
            count = min(self.frames_per_video or length, length)
            rows += [(folder, length, (2 * part + 1) * length // (2 * count) + 1, text) for part in range(count)]
        return rows

    @staticmethod
    def _count_masks(path: str) -> int:
        """T of ``part_mask``, from the file's header."""
        from scipy.io import whosmat  # here: it takes half a second to import
        from scipy.io.matlab import MatReadError

        check_regular(path, 'mask file')
        try:
            height, width, *length = next(shape for name, shape, _ in whosmat(path) if name == 'part_mask')
            return length[0] if length else 1  # MATLAB drops the last axis of a video of one frame
        except FileNotFoundError as error:
            raise FileNotFoundError(f'Mask file {path} is missing: complete the data set.') from error
        except (MatReadError, OSError, ValueError, TypeError, LookupError, zlib.error, StopIteration) as error:
            raise AnnotationError(f'{path} has no part_mask: {error!r}.') from error
