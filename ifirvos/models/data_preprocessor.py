"""mmdet's clip preprocessor, with padding for training only."""

from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmdet.structures import TrackDataSample
from mmengine.structures import BaseDataElement

from ifirvos.errors import InputError
from ifirvos.registry import MODELS
from ifirvos.structures import inputs_indices


@MODELS.register_module()
class RVOSDataPreprocessor(TrackDataPreprocessor):
    """``TrackDataPreprocessor`` with a padding of its own for testing.

    The reference code pads to multiples of 32 in training and not in testing. Padding changes GroupNorm's statistics,
    and with them the logits of a clip (by up to 0.77).

    Args:
        test_pad_size_divisor: ``pad_size_divisor`` outside training.
    """

    def __init__(self, *args, test_pad_size_divisor: int = 1, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.train_pad_size_divisor, self.test_pad_size_divisor = self.pad_size_divisor, test_pad_size_divisor
        self._is_training = False

    def forward(self, data: dict, training: bool = False) -> dict:
        """As mmdet's.

        Raises:
            InputError: The clips of a batch have different numbers of frames.
        """
        lengths = sorted({len(frames) for frames in data['inputs']})
        if len(lengths) > 1:
            raise InputError(
                f'The clips of a batch have {lengths[0]} to {lengths[-1]} frames: whole videos, and videos shorter '
                'than a clip, need batch_size=1'
            )
        self.pad_size_divisor = self.train_pad_size_divisor if training else self.test_pad_size_divisor
        self._is_training = training
        return super().forward(data, training)

    def cast_data(self, data):
        """As mmengine's, but in training the samples themselves move, in place of copies of them.

        Copying each frame's sample took a twentieth of the small model's training step, even where nothing moves.
        """
        if not (self._is_training and isinstance(data, TrackDataSample)):
            return super().cast_data(data)
        for frame in data:
            self._move(frame)
        return data

    def _move(self, element: BaseDataElement) -> None:
        for name, value in element.items():
            if isinstance(value, BaseDataElement):
                self._move(value)
            elif hasattr(value, 'to') and getattr(value, 'device', None) != self.device:
                element.set_data({name: value.to(self.device, non_blocking=self._non_blocking)})

    def _get_track_pad_shape(self, data: dict) -> list[list[tuple[int, int]]]:
        """As mmdet's, one entry per clip: several may have the same frames, see :func:`pair_collate`."""
        shapes, clips = super()._get_track_pad_shape(data), data['data_samples']
        return shapes if clips is None else [shapes[k] for k in inputs_indices(clips, len(shapes))]
