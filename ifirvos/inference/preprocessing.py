"""Turns frames and a sentence into model inputs, with the config's test pipeline."""

from collections.abc import Callable, Sequence

import numpy as np
from mmdet.structures import DetDataSample, TrackDataSample


def resize(resizes: Sequence[Callable], image: np.ndarray) -> tuple[np.ndarray, dict]:
    results = dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
    for step in resizes:
        results = step(results)
    return results['img'], {key: results[key] for key in ('ori_shape', 'img_shape', 'scale_factor') if key in results}


def clip_sample(metas: Sequence[dict], text: str) -> TrackDataSample:
    """Return a clip without annotations: T frames with their metainfo, and the sentence."""
    sample = TrackDataSample(metainfo=dict(text=text, exp_id='', video_id='', kind='', ori_video_length=len(metas)))
    sample.video_data_samples = [DetDataSample(metainfo=dict(meta)) for meta in metas]
    return sample
