"""Sentences that fit nothing are named, by the threshold that the model's card gives."""

import numpy as np
import pytest
from mmengine.logging import MMLogger

from ifirvos import RVOSInferencer
from ifirvos.inference.absence import clip_threshold_of, probably_absent, threshold_of
from ifirvos.inference.model_index import SHIPPED_MODEL, find_entry
from ifirvos.synth import draw_frames, make_clip


def test_the_threshold_is_the_cards():
    assert threshold_of(SHIPPED_MODEL) == find_entry(SHIPPED_MODEL)['Metadata']['Score Threshold']
    assert clip_threshold_of(SHIPPED_MODEL) == find_entry(SHIPPED_MODEL)['Metadata']['Clip Score Threshold']
    assert 0 < threshold_of(SHIPPED_MODEL) < clip_threshold_of(SHIPPED_MODEL) < 1


@pytest.mark.parametrize('model', [None, 'r50_ytvos', 'referformer-r50-ytvos'])
def test_of_other_models_nothing_is_said(model):
    assert probably_absent(model, ['the red star'], [0.0]) is None


def test_only_sentences_below_the_threshold_are_named():
    threshold = clip_threshold_of(SHIPPED_MODEL)
    said = probably_absent(SHIPPED_MODEL, ['a', 'b', 'c'], [threshold, threshold - 0.01, 1.0])
    assert "'b'" in said
    assert "'a'" not in said
    assert "'c'" not in said
    assert probably_absent(SHIPPED_MODEL, ['a'], [threshold]) is None


def test_the_shipped_model_tells_what_is_there_from_what_is_not(monkeypatch):
    """The demo's clip: a cyan cross and others, but no star; long enough for several windows."""
    clip = make_clip(1, 'valid', 100_026)
    frames = np.stack([frame[..., ::-1] for frame in draw_frames(clip.facts.scene)])
    inferencer = RVOSInferencer(device='cpu', show_progress=False, clip_len=12)
    said = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', lambda *args: said.append(args[0] % args[1:]))
    results = inferencer(frames, ['the cyan cross on the left side', 'the orange star'])
    assert len(said) == 1
    assert f"'the orange star' (score {results[1].clip_score:.2f})" in said[0]
    assert 'cyan' not in said[0]
    assert f'--score-threshold {threshold_of(SHIPPED_MODEL)} ' in said[0]
    inferencer(frames, 'the orange star', score_threshold=0.1)
    assert '--score-threshold' not in said[1], 'it was given'
