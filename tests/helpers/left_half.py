"""A stand-in for the model, for tests of commands."""

import gc

import numpy as np

from ifirvos.inference.results import SentenceResult, WindowResult


class LeftHalf:
    """Stands for RVOSInferencer: whatever the sentence, the left half of every frame."""

    built = 0

    def __init__(self, model, weights, device, **options):
        LeftHalf.built += 1
        LeftHalf.given = dict(options, model=model)
        LeftHalf.collected = [gc.isenabled()]

    def about(self, score_threshold):
        return dict(config='left.py', score_threshold=score_threshold)

    def stream(self, reader, texts, score_threshold=None):
        LeftHalf.collected.append(gc.isenabled())
        for t, (frame, time) in enumerate(reader.timed()):
            mask = np.zeros((1, *frame.shape[:2]), bool)
            mask[:, :, : mask.shape[2] // 2] = True
            scores, boxes = np.full(1, 0.75, np.float32), np.zeros((1, 4), np.float32)
            results = [SentenceResult(text, mask, scores, boxes, 0) for text in texts]
            yield WindowResult(t, [frame], [time], results)
