"""Frames of a video file by their exact index."""

from mmcv.transforms import BaseTransform

from ifirvos.errors import VideoError
from ifirvos.registry import TRANSFORMS
from ifirvos.video.reader import read_video_frames


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
        # Copies, so that a frame that occurs twice in the clip is not changed twice.
        results['img'] = [frames[min(index, end)].copy() for index in indices]
        results['img_shape'] = [image.shape[:2] for image in results['img']]
        results['ori_shape'] = list(results['img_shape'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
