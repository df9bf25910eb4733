"""Decodes every frame and mask of a video as the pipelines do."""

import os
from collections.abc import Mapping

from PIL import Image

from ifirvos.datasets import BaseRVOSDataset
from ifirvos.datasets.transforms import LoadRVOSMasks
from ifirvos.datasets.transforms.loading import MaskSizeError
from ifirvos.errors import one_line
from ifirvos.frame_sizes import check_picture, size_as_read
from ifirvos.video.reader import read_video_frames

from .data_set_kinds import Kind
from .findings import Findings


class Examiner:
    """Checks all records of a video.

    Args:
        dataset: Data set with one record per expression.
        kind: Kind of the data set.
        quick: Decode nothing.
    """

    def __init__(self, dataset: BaseRVOSDataset, kind: Kind, quick: bool) -> None:
        self.dataset = dataset
        self.load_masks = LoadRVOSMasks(kind.reader)
        self.sizes_of = self.video_sizes if kind.in_videos else self.picture_sizes
        self.quick = quick

    def __call__(self, part: list[int]) -> Findings:
        found, infos = Findings(), []
        for index in part:
            try:
                infos.append(self.dataset.get_data_info(index))
            except Exception as error:  # a video file whose header is read only now, and whatever its reader raises
                found.add(_file_problem(error, 'frame'), f'{self._entry(index)}: {one_line(error)}')
        if infos:
            sizes = self.sizes_of(infos, found)
            if len(set(sizes.values())) > 1:
                found.add('frames of several sizes', f'{infos[0]["video_id"]}: {sorted(set(sizes.values()))}')
            seen = {}
            for info in infos:
                self.check_masks(info, sizes, seen, found)
            found.masks += len(seen)
        return found

    def picture_sizes(self, infos: list[dict], found: Findings) -> dict[int, tuple[int, int]]:
        """(H, W) of every frame that can be read."""
        sizes = {}
        for image in infos[0]['images']:
            found.frames += 1
            path = image['img_path']
            try:
                check_picture(path)
                with Image.open(path) as picture:
                    if not self.quick:
                        picture.load()
                    size = size_as_read(picture)
            except Exception as error:  # Pillow's plug-ins raise what they like
                detail = '' if isinstance(error, FileNotFoundError) else f' ({one_line(error)})'
                found.add(_file_problem(error, 'frame'), f'{path}{detail}')
                continue
            sizes[image['frame_id']] = size
        return sizes

    def video_sizes(self, infos: list[dict], found: Findings) -> dict[int, tuple[int, int]]:
        """(H, W) of the annotated frames of a video file, which is decoded to its end."""
        path, length = infos[0]['images'][0]['img_path'], infos[0]['video_length']
        found.frames += length
        if self.quick:
            return {}
        keys = {info['key_frame_id'] for info in infos}
        try:
            frames = read_video_frames(path, {*keys, length - 1})
        except Exception as error:  # what the decoder makes of damage
            found.add(_file_problem(error, 'frame'), one_line(error))
            return {}
        for key in sorted(keys):
            if key > max(frames):
                found.add('missing frame', f'{path} has {max(frames) + 1} frames, so no frame {key + 1}')
        return {index: frame.shape[:2] for index, frame in frames.items()}

    def check_masks(
        self, info: dict, sizes: Mapping[int, tuple[int, int]], seen: dict[tuple, bool | None], found: Findings
    ) -> None:
        """Check the masks of an expression; ``seen`` caches the masks of its video: not empty, empty, unreadable."""
        known = [image for image in info['images'] if image['mask_path'] is not None]
        if not known:
            found.unknown += 1
            return
        states = []
        for image in known:
            key = (image['mask_path'], info['obj_id'], image.get('mask_index'), repr(image.get('segmentations')))
            if key not in seen:
                size = sizes.get(image['frame_id'], next(iter(sizes.values()), None))
                seen[key] = self.read_mask({**image, 'obj_id': info['obj_id'], 'ori_shape': size}, found)
            states.append(seen[key])
        absent = info['obj_id'] == 0  # a sentence that fits nothing
        if not absent and all(state is False for state in states):
            found.add('object in no frame', f'expression {info["exp_id"]} of {info["video_id"]}: {info["text"]!r}')

    def read_mask(self, frame: dict, found: Findings) -> bool | None:
        """Return whether the mask is not empty; None if that is unknown."""
        path = frame['mask_path']
        if self.quick or frame['ori_shape'] is None:
            if not os.path.isfile(path):
                found.add('missing mask', path)
            return None
        try:
            return bool(len(self.load_masks.transform(frame)['gt_masks']))
        except MaskSizeError as error:
            found.add('mask of another size', one_line(error))
        except Exception as error:  # of any library that reads masks
            found.add(_file_problem(error, 'mask'), one_line(error))
        return None

    def _entry(self, index: int) -> str:
        expression = self.dataset.expressions[index]
        return f'video {expression["video_id"]}, expression {expression["exp_id"]}'


def _file_problem(error: Exception, what: str) -> str:
    return f'missing {what}' if isinstance(error, FileNotFoundError) else f'unreadable {what}'
