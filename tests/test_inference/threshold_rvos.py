"""A model whose answer is known: 'red' is where the frame is red, anything else where it is dark."""

import torch
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import nn

CONFIG = """
model = dict(type='ThresholdRVOS', channels=3)
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(
                type='TransformBroadcaster',
                transforms=[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(40, 20), keep_ratio=True)],
            ),
            dict(type='PackTrackInputs', meta_keys=('text',)),
        ]
    )
)
"""


@MODELS.register_module(force=True)
class ThresholdRVOS(nn.Module):
    """Keeps what it was given, for tests to look at."""

    takes_clips = False

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.data_preprocessor = TrackDataPreprocessor(
            mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True, pad_size_divisor=32
        )
        self.calls, self.encoded = [], []

    def encode_text(self, data_samples):
        self.encoded += [sample.text for sample in data_samples]
        return dict(words=[sample.text for sample in data_samples])

    def extract_feat(self, inputs):
        return [inputs[0]]

    def predict_features(self, feats, data_samples, linkers, text):
        assert text['words'] == [sample.text for sample in data_samples]
        frames = feats[0]
        self.calls.append((frames, data_samples))
        for sample in data_samples:
            for image, frame in zip(frames * self.scale[:, None, None], sample, strict=True):
                height, width = frame.img_shape
                image = image[:, :height, :width]
                wanted = image[0] > 0.6 if 'red' in sample.text else image.sum(0) < 0.6
                mask = nn.functional.interpolate(wanted[None, None].float(), frame.ori_shape)[0] > 0.5
                rows, columns = (mask[0].any(axis).nonzero().flatten() for axis in (1, 0))
                box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if mask.any() else [0] * 4
                frame.pred_track_instances = InstanceData(
                    masks=mask, bboxes=torch.tensor([box]).float(), scores=wanted.float().mean()[None]
                )
            sample.set_metainfo(dict(query_index=1))
        return data_samples
