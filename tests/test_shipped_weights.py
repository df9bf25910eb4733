"""The weights in the repository: they load, they are small, and they have learnt what their card says."""

from copy import copy
from functools import cache
from itertools import islice

import numpy as np
import pytest

from ifirvos import RVOSInferencer
from ifirvos.checkpoint import load_checkpoint
from ifirvos.evaluation.functional import region_similarity
from ifirvos.inference.model_index import ROOT
from ifirvos.synth import draw_frames, make_clip

WEIGHTS = {name: ROOT / 'weights' / f'{name}.pth' for name in ('r18_synth', 'r18_synth_temporal', 'r18_synth_fine')}
FIRST_HELD_OUT = 200_000  # clips of the split 'valid' that no data set holds


@pytest.fixture(scope='module')
def inferencers():
    return {
        name: RVOSInferencer(str(ROOT / f'configs/ifirvos/{name}.py'), str(path), device='cpu', show_progress=False)
        for name, path in WEIGHTS.items()
    }


@cache
def held_out(index: int):
    return make_clip(0, 'valid', index)


def clips_with(kind: str, number: int) -> list:
    clips = (held_out(index) for index in range(FIRST_HELD_OUT, FIRST_HELD_OUT + 400))
    found = (clip for clip in clips if any(expression.kind == kind for expression in clip.expressions))
    return list(islice(found, number))


def frames_of(clip) -> np.ndarray:
    return np.stack([frame[..., ::-1] for frame in draw_frames(clip.facts.scene)])


def test_all_weights_take_at_most_15_megabytes():
    assert sum(path.stat().st_size for path in (ROOT / 'weights').glob('*.pth')) <= 15e6


@pytest.mark.parametrize('name', WEIGHTS)
def test_weights_are_half_precision_and_carry_their_config(name):
    checkpoint = load_checkpoint(WEIGHTS[name])
    weights = {key: tensor for key, tensor in checkpoint['state_dict'].items() if 'running_' not in key}
    assert {str(tensor.dtype) for tensor in weights.values() if tensor.is_floating_point()} == {'torch.float16'}
    assert 'IFIRVOS' in checkpoint['meta']['config_text']


def test_attributes_are_understood(inferencers):
    """Over held-out clips the object is found far more often than by chance (a random object has J of about 0.27)."""
    scores = []
    for clip in clips_with('attr', 12):
        expression = next(e for e in clip.expressions if e.kind == 'attr')
        result = inferencers['r18_synth'](frames_of(clip), [expression.text])[0]
        scores.append(region_similarity(clip.facts.labels == expression.object_id, result.masks).mean())
    assert np.mean(scores) > 0.45


@pytest.mark.parametrize(
    ('kind', 'name', 'number'),
    [('motion', 'r18_synth', 25), ('direction', 'r18_synth_temporal', 10), ('order', 'r18_synth_fine', 10)],
)
def test_the_two_of_a_pair_are_told_apart(inferencers, kind, name, number):
    """Both are asked. A model that always takes the same one is right in half of them."""
    right = []
    for clip in clips_with(kind, number):
        asked = {e.object_id: e for e in clip.expressions if e.kind == kind}
        results = inferencers[name](frames_of(clip), [e.text for e in asked.values()])
        for object_id, result in zip(asked, results, strict=True):
            right.append(region_similarity(clip.facts.labels == object_id, result.masks).mean() > 0.5)
    assert np.mean(right) > 0.6, f'{kind}: {np.mean(right):.2f} of {len(right)}'


def test_without_temporal_position_a_reversed_clip_gets_the_same_masks(inferencers):
    """Nothing in the paper's model knows the order of frames; rounding may move a pixel or two."""
    clip = clips_with('direction', 1)[0]
    frames, texts = frames_of(clip), [e.text for e in clip.expressions if e.kind == 'direction']
    forwards = inferencers['r18_synth'](frames, texts)
    backwards = inferencers['r18_synth'](frames[::-1], texts)
    for one, other in zip(forwards, backwards, strict=True):
        assert one.query_index == other.query_index
        assert np.mean(one.masks != other.masks[::-1]) < 1e-4


def test_no_identity_switch_at_the_borders_of_windows(inferencers):
    """Clips played forwards and backwards, in windows that agree on the object: the masks stay on it at every seam."""
    inferencer = copy(inferencers['r18_synth'])
    inferencer.clip_len, inferencer.overlap = 24, 8
    seams = 0
    for clip in clips_with('attr', 4):
        order = np.r_[:24, 22:0:-1, :24]
        frames, labels = frames_of(clip)[order], clip.facts.labels[order]
        text = next(expression.text for expression in clip.expressions if expression.kind == 'attr')
        (result,) = inferencer(frames, text)
        assert len(result.masks) == len(order)
        borders = [0]
        for window in inferencer.stream(frames, text):
            borders.append(borders[-1] + len(window.frames))
        for border in borders[1:-1]:
            before, after = (owner(result.masks[t], labels[t]) for t in (border - 1, border))
            if before and after:  # the windows on both sides see an object there
                assert before == after, f'{clip.video_id}, frame {border}: object {before} became {after}'
                seams += 1
    assert seams >= 8


def owner(mask: np.ndarray, labels: np.ndarray) -> int:
    """The object that a mask fits best; 0 where it fits none (IoU below a half)."""
    ious = {
        label: (mask & (labels == label)).sum() / (mask | (labels == label)).sum() for label in np.unique(labels)[1:]
    }
    best = max(ious, key=ious.get, default=0)
    return int(best) if best and ious[best] > 0.5 else 0
