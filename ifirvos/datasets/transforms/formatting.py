"""Packs a clip for the model."""

import numpy as np
import torch
from mmdet.datasets.transforms import PackTrackInputs
from mmengine.structures import InstanceData

from ifirvos.registry import TRANSFORMS


class ByValueInstances(InstanceData):
    """InstanceData whose tensors leave a worker process by value.

    torch hands every tensor over as a shared memory file of its own. For a few numbers a frame that costs more than
    reading the frame does.
    """

    def __reduce__(self) -> tuple:
        fields = {key: value.numpy() if torch.is_tensor(value) else value for key, value in self.items()}
        tensors = [key for key, value in self.items() if torch.is_tensor(value)]
        return _rebuild_instances, (fields, tensors, self.metainfo)


def _rebuild_instances(fields: dict, tensors: list[str], metainfo: dict) -> ByValueInstances:
    fields.update({key: torch.from_numpy(fields[key]) for key in tensors})
    return ByValueInstances(metainfo=metainfo, **fields)


@TRANSFORMS.register_module()
class PackRVOSInputs(PackTrackInputs):
    """mmdet's PackTrackInputs, plus the fields of the clip.

    Result: ``inputs`` uint8 (T,3,H,W) and ``data_samples``, a TrackDataSample of T frames whose own metainfo holds the
    ``clip_keys``.

    Args:
        clip_keys: Keys (lists of T equal values) whose value goes to the metainfo of the TrackDataSample.
        **kwargs: Arguments of PackTrackInputs.
    """

    def __init__(
        self,
        clip_keys: tuple[str, ...] = ('text', 'exp_id', 'video_id', 'kind', 'ori_video_length'),
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.clip_keys = tuple(clip_keys)

    def transform(self, results: dict) -> dict:
        """Pack one clip."""
        # mmdet packs pictures and metainfo only: handing a sample over it also formats its first frame as text, which
        # takes longer than all the rest when tensors are in it.
        packed = super().transform({key: value for key, value in results.items() if key not in self.mapping_table})
        sample = packed['data_samples']
        sample.set_metainfo({key: results[key][0] for key in self.clip_keys if key in results})
        annotations = {name: results[key] for key, name in self.mapping_table.items() if key in results}
        for index, frame in enumerate(sample):
            fields = {name: values[index] for name, values in annotations.items()}
            frame.gt_instances = ByValueInstances(
                **{
                    key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
                    for key, value in fields.items()
                }
            )
        return packed

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys}, clip_keys={self.clip_keys})'
