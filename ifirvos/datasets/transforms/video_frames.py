"""Frames of a video file by their exact index."""

from collections.abc import Collection

import av
import numpy as np
from mmcv.transforms import BaseTransform

from ifirvos.registry import TRANSFORMS
from ifirvos.video import VideoError


def read_video_frames(path: str, indices: Collection[int]) -> dict[int, np.ndarray]:
    """Decode frames of a video file, counted from 0 in the order they are shown.

    The file is decoded from its start up to the last frame asked for: seeking lands on a wrong frame in files whose
    index is not exact. Unlike `ifirvos.video.VideoReader` it does not pass over damage, which would shift the count.

    Args:
        path: A video file.
        indices: Which frames, at least one.

    Returns:
        uint8 (H,W,3) BGR by index. Indices beyond the end are left out; the last frame of the file then stands under
        the number it has.

    Raises:
        FileNotFoundError: If the file is missing.
        VideoError: If it cannot be decoded; names it.
    """
    last, frame, number = max(indices), None, -1
    frames = {}
    try:
        with av.open(path, options=dict(protocol_whitelist='file'), metadata_errors='replace') as container:
            container.streams.video[0].thread_type = 'AUTO'
            for number, frame in enumerate(container.decode(video=0)):
                if number in indices:
                    frames[number] = frame.to_ndarray(format='bgr24')
                if number == last:
                    break
    except FileNotFoundError as error:
        raise FileNotFoundError(f'Video {path} is missing: complete the data set.') from error
    except (av.FFmpegError, IndexError) as error:
        raise VideoError(f'{path}: reading stopped at frame {number + 1}: {error!r}.') from error
    if frame is None:
        raise VideoError(f'{path} has no frame that can be decoded.')
    if number < last:
        frames[number] = frame.to_ndarray(format='bgr24')
    return frames


@TRANSFORMS.register_module()
class LoadVideoFrames(BaseTransform):
    """mmcv's LoadImageFromFile for a clip out of one video file: the file is decoded once for all T frames.

    It stands between ``RVOSClipSample`` and the first broadcaster. A file may hold fewer frames than its header says:
    frames beyond its end are its last one, as a clip is padded at its edges anyway, but never the key frame.

    Required keys (lists of T): ``img_path`` (the video, T times), ``frame_id`` (from 0), ``key_frame_flags`` if any.
    Added keys (lists of T): ``img`` uint8 (H,W,3) BGR, ``img_shape`` and ``ori_shape`` (H,W).

    Raises:
        FileNotFoundError: If the video is missing.
        VideoError: If it cannot be decoded, or ends before the key frame.
    """

    def transform(self, results: dict) -> dict:
        """Add the frames of one clip."""
        path, indices = results['img_path'][0], results['frame_id']
        frames = read_video_frames(path, set(indices))
        end = max(frames)
        for index, is_key in zip(indices, results.get('key_frame_flags', ())):
            if is_key and index > end:
                raise VideoError(f'{path} has {end + 1} frames, so no frame {index + 1}, which is annotated.')
        # A copy each: a frame that the clip holds twice must not be changed twice.
        results['img'] = [frames[min(index, end)].copy() for index in indices]
        results['img_shape'] = [image.shape[:2] for image in results['img']]
        results['ori_shape'] = list(results['img_shape'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
