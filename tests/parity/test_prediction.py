"""The quick prediction, which draws one query's masks of one layer, gives what all outputs of all layers would."""

from functools import cache

import intermediates
import official
import pytest
import torch
import torch.nn.functional as F


@cache
def full_output(model, case: str) -> dict[str, torch.Tensor]:
    """All outputs of all layers, which do not depend on the size of the original."""
    with torch.no_grad():
        return model(*official.batch(case), mode='tensor')


@pytest.mark.parametrize(
    ('case', 'original_size'),
    [('b', None), ('b', (200, 300)), ('c', None), ('c', (113, 151))],
    ids=['one clip', 'one clip, resized', 'padded clips', 'padded clips, resized'],
)
def test_prediction_is_the_chosen_query_of_the_full_output(referformer, case, original_size):
    inputs, clips = official.batch(case, original_size)
    full = full_output(referformer, case)
    with torch.no_grad(), intermediates.calls_of(mask_head=referformer.bbox_head.mask_head) as calls:
        predicted = referformer(inputs, clips, mode='predict')
    (drawn,) = calls['mask_head']
    assert drawn.output.shape[:2] == (inputs.shape[:2].numel(), 1)  # one query a frame, one layer
    drawn = drawn.output[:, 0].unflatten(0, inputs.shape[:2])

    for b, clip in enumerate(predicted):
        scores = full['cls_logits'][-1, b, ..., 0].sigmoid()  # T N
        query = int(scores.mean(0).argmax())
        logits = full['mask_logits'][-1, b, :, query]
        assert clip.query_index == query
        torch.testing.assert_close(drawn[b], logits, rtol=1e-5, atol=1e-4)  # values to +-60
        for t, frame in enumerate(clip):
            found = frame.pred_track_instances
            height, width = frame.ori_shape
            cx, cy, w, h = (full['boxes'][-1, b, t, query] * torch.tensor([width, height] * 2)).tolist()
            assert found.bboxes[0].tolist() == pytest.approx([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], abs=1e-3)
            assert found.scores.tolist() == pytest.approx([float(scores[t, query])], abs=1e-6)
            assert found.masks.dtype == torch.bool
            assert found.masks.shape == (1, height, width)
            assert torch.equal(found.masks[0], resized(logits[t], frame) > 0.5)


def resized(logits: torch.Tensor, frame) -> torch.Tensor:
    """Mask logits -> probabilities at the original size: padding, if any, is cut at the input's size."""
    logits = logits[None, None]
    if frame.img_shape != tuple(frame.batch_input_shape):
        logits = F.interpolate(logits, size=tuple(frame.batch_input_shape), mode='bilinear')
        logits = logits[:, :, : frame.img_shape[0], : frame.img_shape[1]]
    return F.interpolate(logits, size=frame.ori_shape, mode='bilinear')[0, 0].sigmoid()
