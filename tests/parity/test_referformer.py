"""The ReferFormer configuration gives the numbers of the official implementation (commit 06fc218), step by step.

The reference files hold what the official code computes on a clip of three 96x128 frames (case b) with the weights of
gen_weights.py: outputs, about 60 intermediates (whole, or as statistics and samples), costs, matches and losses.
"""

import re

import gen_weights
import intermediates
import numpy as np
import official
import pytest
import torch
from torch import nn

from ifirvos.structures import clip_targets

FILES = {2: 'forward_case_b_text2.npz', 12: 'forward_case_b.npz'}
LAYER_NAMES = {'': '', '_0': 'd0.', '_1': 'd1.', '_2': 'd2.'}  # suffix of an official loss -> our prefix
LOSS_NAMES = dict(loss_ce='cls', loss_bbox='bbox', loss_giou='iou', loss_mask='mask', loss_dice='dice')

# Absolute, for float32; the first that fits counts. Another CPU, thread count or float64 moves the official code itself
# by up to a quarter of these.
TOLERANCES = {
    r'out/pred_logits': 1e-4,
    r'out/pred_boxes|out/reference_points': 2e-5,
    r'out/pred_masks': 5e-3,  # values to +-60
    r'mid/(init_reference|inter_references|dec\d_ref_input)': 2e-5,
    r'mid/((lvl_)?pos\d|text_pos|enc_ref_points)': 1e-6,
    r'mid/backbone\d': 2e-4,  # values to 50
    r'mid/mask_(lvl|res|backbone)\d|mid/text_mask': 0,
    r'mid/.*': 1e-4,
}
NO_COUNTERPART = {
    'mid/pos_dim_t': 'the wavelengths of the 2-D encoding are local to mmdet; pos0 to pos3 hold their effect',
}


def reference_of(text_layers: int) -> dict[str, np.ndarray]:
    with np.load(official.HERE / FILES[text_layers]) as arrays:
        return dict(arrays)


def names_in(reference: dict[str, np.ndarray]) -> list[str]:
    """What was recorded: ``X.shape``, ``X.stats`` and ``X.samples`` are one X."""
    return list(dict.fromkeys(re.sub(r'\.(shape|stats|samples)$', '', key) for key in reference))


RECORDED = names_in(reference_of(2))
COMPARED = [name for name in RECORDED if not name.startswith('in/') and name not in NO_COUNTERPART]


@pytest.fixture(scope='module')
def reference(text_layers: int) -> dict[str, np.ndarray]:
    return reference_of(text_layers)


@pytest.fixture(scope='module')
def ours(text_layers: int) -> dict[str, torch.Tensor]:
    return intermediates.forward(official.load(text_layers), *official.batch('b'))


def test_inputs_are_the_ones_the_reference_saw(reference):
    clips, ids, attention, sizes = gen_weights.case_inputs('b')
    assert [gen_weights.crc(clip) for clip in clips] == reference['in/clip_crc32'].tolist()
    np.testing.assert_array_equal(reference['in/clip_samples'][0], gen_weights.summary(clips[0])[1])
    np.testing.assert_array_equal(reference['in/input_ids'], ids)
    np.testing.assert_array_equal(reference['in/attention_mask'], attention)
    np.testing.assert_array_equal(reference['in/sizes'], sizes)
    assert {name for name in RECORDED if name.startswith('in/')} == {
        'in/clip_crc32', 'in/clip_samples', 'in/input_ids', 'in/attention_mask', 'in/sizes'
    }  # fmt: skip


def test_weights_are_the_ones_the_reference_had():
    digests = official.digests()
    generated = official.state_dict(text_layers=0)
    wrong = [name for name, tensor in generated.items() if digests.get(name, 0) != gen_weights.crc(tensor.numpy())]
    assert not [name for name in wrong if not name.startswith('transformer.decoder.bbox_embed.')]


@pytest.mark.parametrize('name', COMPARED)
def test_equals_official(name, reference, ours):
    tolerance = next(atol for pattern, atol in TOLERANCES.items() if re.fullmatch(pattern, name))
    found = ours[name].numpy()
    if name in reference:
        assert found.shape == reference[name].shape
        np.testing.assert_allclose(found, reference[name], rtol=0, atol=tolerance)
        return
    assert found.shape == tuple(reference[f'{name}.shape'])
    stats, samples = gen_weights.summary(found)
    np.testing.assert_allclose(samples, reference[f'{name}.samples'], rtol=0, atol=tolerance)
    # mean, standard deviation, mean magnitude, l2 norm, minimum, maximum; the norm adds up the errors of all elements
    scale = np.array([1, 1, 1, found.size**0.5, 1, 1])
    assert (np.abs(stats - reference[f'{name}.stats']) <= tolerance * scale).all()


def test_every_recorded_quantity_is_compared_or_named(reference, ours):
    assert names_in(reference) == RECORDED
    assert set(COMPARED) == set(ours)
    assert set(NO_COUNTERPART) <= set(RECORDED)


@pytest.fixture(scope='module')
def official_losses() -> dict[str, np.ndarray]:
    with np.load(official.HERE / 'loss_case_b.npz') as arrays:
        return {name.removeprefix('b/'): array for name, array in arrays.items()}


def note_costs(head: nn.Module, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """-> a list that fills with the costs (N,) of the one clip, a layer at a time."""
    costs, match_cost = [], head.match_cost

    def match_cost_noted(*args):
        cost = match_cost(*args)
        costs.append(cost[0].numpy())
        return cost

    monkeypatch.setattr(head, 'match_cost', match_cost_noted)
    return costs


def check_losses(losses, costs, official_losses):
    order = [1, 2, 3, 0]  # ours: layers 0..3; official: the last, then 0..2
    np.testing.assert_array_equal(np.argmin(costs, 1), official_losses['matched_query'][order, 0])
    # mmdet's Dice cost is 1 - coefficient, the official one -coefficient; its weight is 5.
    np.testing.assert_allclose(np.array(costs) - 5, official_losses['match_cost'][order, 0], rtol=0, atol=1e-3)
    weight = dict(cls=2, bbox=5, iou=2, mask=2, dice=5)
    expected = {
        f'{prefix}loss_{ours}': weight[ours] * float(official_losses[name + suffix])
        for suffix, prefix in LAYER_NAMES.items()
        for name, ours in LOSS_NAMES.items()
    }
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert float(losses[name]) == pytest.approx(value, abs=1e-4 * weight[name.rpartition('loss_')[2]]), name
    assert float(sum(losses.values())) == pytest.approx(float(official_losses['total']), abs=1e-3)


def test_targets(referformer, official_losses):
    """Boxes and masks pass through pixels and BitmapMasks and come back as the official targets."""
    _, clips = official.batch('b')
    official.add_targets('b', clips)
    (target,) = clip_targets(clips, (24, 32), 4, 'point', torch.device('cpu'))
    np.testing.assert_allclose(target.boxes[0], official_losses['target0/boxes'], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(target.masks[0], official_losses['target0/masks'][:, 2::4, 2::4])
    np.testing.assert_array_equal(target.valid, official_losses['target0/valid'])


def test_matching_and_losses_on_the_official_outputs(referformer, monkeypatch, official_losses):
    """The head alone: what the official model put out goes in, its costs, matches and losses come out."""
    head = referformer.bbox_head
    costs = note_costs(head, monkeypatch)
    outputs = reference_of(12)
    outputs = {
        ours: torch.from_numpy(outputs[f'out/{name}'])
        for ours, name in dict(cls_logits='pred_logits', boxes='pred_boxes', mask_logits='pred_masks').items()
    }
    _, clips = official.batch('b')
    official.add_targets('b', clips)
    losses = head.loss_by_feat(outputs, clip_targets(clips, (24, 32), 4, head.mask_target, torch.device('cpu')))
    check_losses(losses, costs, official_losses)


@pytest.mark.slow
def test_matching_and_losses_from_frames(monkeypatch, official_losses):
    """All the way: frames and token ids in, losses out."""
    model = official.load(12)
    costs = note_costs(model.bbox_head, monkeypatch)
    inputs, clips = official.batch('b')
    official.add_targets('b', clips)
    with torch.no_grad():
        losses = model(inputs, clips, mode='loss')
    check_losses(losses, costs, official_losses)
