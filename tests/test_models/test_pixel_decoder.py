"""The cross-modal FPN: frames that are made when asked for are those of the whole clip, and draw the same masks."""

import pytest
import torch
from torch.testing import assert_close

from ifirvos.models import pixel_decoder
from ifirvos.models.dynamic_mask_head import DynamicMaskHead
from ifirvos.models.pixel_decoder import CrossModalFPN

CLIPS, FRAMES, C, WORDS = 2, 5, 16, 4


@pytest.fixture
def fpn() -> CrossModalFPN:
    fpn = CrossModalFPN([8, C, C, C], C, num_heads=2, feedforward_channels=24, num_groups=4)
    fpn.init_weights()
    return fpn.double().eval()


@pytest.fixture
def arguments() -> dict:
    sizes = [(16, 24), (8, 12), (4, 6), (2, 3)]

    def noise(*shape):
        return torch.randn(*shape, dtype=torch.float64)

    return dict(
        feats=[noise(CLIPS * FRAMES, c, *size) for c, size in zip((8, C, C, C), sizes, strict=True)],
        positions=[noise(CLIPS, C, *size) for size in sizes],
        masks=[torch.zeros(CLIPS, *size, dtype=torch.bool) for size in sizes],
        words=noise(CLIPS, WORDS, C),
        word_pos=noise(CLIPS, WORDS, C),
        word_mask=torch.zeros(CLIPS, WORDS, dtype=torch.bool),
        num_frames=FRAMES,
    )


@torch.no_grad()
@pytest.mark.parametrize('chunk', [1, 3, 7])
def test_frames_in_chunks_are_those_of_the_whole(fpn, arguments, chunk):
    whole = fpn(**arguments)
    assert_close(fpn(**arguments, frame_chunk=chunk), whole)
    frames = fpn.fuse(**arguments, frame_chunk=chunk)
    wanted = slice(2, 9)
    first = torch.cat(list(frames.parts(wanted)))
    everything = torch.cat(list(frames.parts()))
    assert_close(fpn.draw(first), whole[wanted])
    assert_close(fpn.draw(everything), whole)
    assert not frames._made, 'nothing is kept in the end'


@torch.no_grad()
def test_maps_that_are_too_large_to_keep_are_computed_again(fpn, arguments, monkeypatch):
    whole = fpn(**arguments)
    monkeypatch.setattr(pixel_decoder, 'KEPT_BYTES', 0)
    assert_close(fpn(**arguments, frame_chunk=3), whole)


@torch.no_grad()
def test_pixels_do_not_attend_to_padding(fpn):
    value = torch.randn(CLIPS * FRAMES, C, 2, 3, dtype=torch.float64)
    position = torch.randn(CLIPS, C, 2, 3, dtype=torch.float64)
    mask = torch.zeros(CLIPS, 2, 3, dtype=torch.bool)
    mask[1, :, 2] = True
    changed = value.clone()
    changed[FRAMES:, ..., 2] = 7
    before, after = (fpn.blocks[-1].attend_to_clip(x, position, mask, FRAMES) for x in (value, changed))
    assert_close(after[..., :2], before[..., :2])


@torch.no_grad()
def test_clips_of_one_video_share_the_finest_feature(fpn, arguments):
    shared = arguments['feats'][0][:FRAMES]
    repeated = dict(arguments, feats=[shared.repeat(CLIPS, 1, 1, 1), *arguments['feats'][1:]])
    once = dict(arguments, feats=[shared, *arguments['feats'][1:]])
    assert_close(fpn.fuse(**once, frame_chunk=3).drawn(), fpn(**repeated))


@torch.no_grad()
@pytest.mark.parametrize('queries', [1, 3])
def test_masks_drawn_through_the_last_convolution(fpn, arguments, queries):
    head = DynamicMaskHead(C, 4)
    frames = CLIPS * FRAMES
    params = torch.randn(frames, queries, head.num_params, dtype=torch.float64)
    points = torch.rand(frames, queries, 2, dtype=torch.float64)
    sizes = torch.tensor([[96.0, 64.0]], dtype=torch.float64).expand(frames, 2)
    expected = head(fpn(**arguments), params, points, sizes)
    fused = fpn.fuse(**arguments)
    assert fused.last_convolution is fpn.mask_features
    assert_close(head(torch.cat(list(fused.parts())), params, points, sizes, fused.last_convolution), expected)


@torch.no_grad()
def test_finer_features_are_drawn_whole(arguments):
    fpn = CrossModalFPN([8, C, C, C], C, num_heads=2, feedforward_channels=24, num_groups=4, mask_stride=2)
    fpn.init_weights()
    torch.nn.init.normal_(fpn.finer.weight, std=0.1)
    fpn.double().eval()
    fused = fpn.fuse(**arguments, frame_chunk=3)
    assert fused.last_convolution is None
    whole = fpn(**arguments)
    assert whole.shape[-2:] == (32, 48)
    assert_close(torch.cat(list(fused.parts())), whole)
