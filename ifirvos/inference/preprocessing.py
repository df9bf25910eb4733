"""Turns frames and a sentence into model inputs, with the config's test pipeline."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from mmdet.structures import DetDataSample, TrackDataSample


def test_pipeline(dataset: dict) -> Sequence[dict]:
    """Return the pipeline of a data set, or of the first one inside a wrapper (ConcatDataset, RepeatDataset)."""
    while 'pipeline' not in dataset:
        dataset = dataset['datasets'][0] if 'datasets' in dataset else dataset['dataset']
    return dataset['pipeline']


def flatten(pipeline: Sequence[dict]) -> Iterator[dict]:
    """Transform of a pipeline in order, those inside wrappers (TransformBroadcaster) too."""
    for transform in pipeline:
        yield transform
        if isinstance(transform.get('transforms'), list):
            yield from flatten(transform['transforms'])


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
