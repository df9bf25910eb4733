"""Hand a clip to the model."""

from mmdet.datasets.transforms import PackTrackInputs

from ifirvos.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackRVOSInputs(PackTrackInputs):
    """mmdet's PackTrackInputs, which knows only frames, plus what belongs to the clip.

    Result: ``inputs`` uint8 (T,3,H,W) and ``data_samples``, a TrackDataSample of T frames whose own metainfo holds the
    ``clip_keys``.

    Args:
        clip_keys: Keys (lists of T equal values) whose value goes to the metainfo of the TrackDataSample.
        **kwargs: For PackTrackInputs.
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
        packed = super().transform(results)
        packed['data_samples'].set_metainfo({key: results[key][0] for key in self.clip_keys if key in results})
        return packed

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys}, clip_keys={self.clip_keys})'
