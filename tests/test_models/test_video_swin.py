"""Video Swin against loops over tokens, the official names, and its place in the detector."""

from itertools import product
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from ifirvos.errors import CheckpointError
from ifirvos.models.video_swin import PatchMerging, VideoSwinTransformer, WindowAttention, WindowPartition
from ifirvos.registry import MODELS
from ifirvos.testing import shrink

CONFIG = Path(__file__).parents[2] / 'configs/referformer/video_swin_t_ytvos.py'
TINY = dict(embed_dims=8, depths=(2, 2), num_heads=(1, 2), window_size=(2, 3, 3))
EXACT = dict(rtol=0, atol=1e-10)


def tiny(**overrides) -> VideoSwinTransformer:
    """Two stages in float64, with weights large enough for every token to matter to those it meets."""
    model = VideoSwinTransformer(**{**TINY, **overrides}).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def clips(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


# ---------------------------------------------------------------- shifted windows
@torch.no_grad()
def attention_by_loops(attn: WindowAttention, x: Tensor, window: tuple[int, int, int], shifted: bool) -> Tensor:
    """(T,h,w,C) -> likewise, with neither windows nor masks: tokens meet where they lie in the same cell of a grid that
    starts half a cell later."""
    size = x.shape[:3]
    cells = [min(s, w) for s, w in zip(size, window, strict=True)]
    start = [w // 2 if shifted and s > w else 0 for s, w in zip(size, window, strict=True)]
    places = list(product(*(range(-(-s // c) * c) for s, c in zip(size, cells, strict=True))))
    # Who stands where inside a cell: as in the official code, tokens count as the first of the largest window.
    place_in = dict(zip(product(*map(range, cells)), product(*map(range, window))))
    cell_of = {p: [(i - b) // c for i, b, c in zip(p, start, cells, strict=True)] for p in places}
    table = attn.relative_position_bias_table.view(*(2 * w - 1 for w in window), attn.num_heads)
    zero = x.new_zeros(x.shape[-1])
    qkv = {p: attn.qkv(x[p] if all(i < s for i, s in zip(p, size, strict=True)) else zero) for p in places}
    q, k, v = ({p: t.view(3, attn.num_heads, -1)[part] for p, t in qkv.items()} for part in range(3))
    out = torch.empty_like(x)
    for here in product(*map(range, size)):
        met = [p for p in places if cell_of[p] == cell_of[here]]
        heads = []
        for head in range(attn.num_heads):
            stands = {p: place_in[tuple((i - b) % c for i, b, c in zip(p, start, cells, strict=True))] for p in met}
            offsets = [
                tuple(a - b + w - 1 for a, b, w in zip(stands[here], stands[p], window, strict=True)) for p in met
            ]
            bias = torch.stack([table[offset][head] for offset in offsets])
            scores = torch.stack([q[here][head] @ k[p][head] for p in met]) / len(q[here][head]) ** 0.5
            heads.append((scores + bias).softmax(0) @ torch.stack([v[p][head] for p in met]))
        out[here] = attn.proj(torch.cat(heads))
    return out


@pytest.mark.parametrize('shifted', [False, True])
@pytest.mark.parametrize(
    'size',
    [(4, 6, 3), (3, 5, 4), (2, 3, 7), (1, 2, 2)],
    ids=['whole windows', 'padded on every side', 'one window in time', 'smaller than a window'],
)
def test_attention_equals_loops_over_tokens(size, shifted):
    window = (2, 3, 3)
    attn = WindowAttention(4, 2, window).double()
    nn.init.normal_(attn.relative_position_bias_table)
    x = clips(2, *size, 4)
    partition = WindowPartition(size, window, shifted, x.device)
    found = partition.join(attn(partition.cut(x), partition))
    assert_close(found, torch.stack([attention_by_loops(attn, clip, window, shifted) for clip in x]), **EXACT)


@pytest.mark.parametrize('shifted', [False, True])
def test_join_undoes_cut(shifted):
    x = clips(2, 3, 5, 4, 1)
    partition = WindowPartition(x.shape[1:4], (2, 3, 3), shifted, x.device)
    assert partition.cut(x).shape == (2 * 2 * 2, 2, 18, 1)
    assert torch.equal(partition.join(partition.cut(x)), x)


def test_merging_takes_squares_in_the_official_order():
    merging = PatchMerging(1)
    merging.norm, merging.reduction = nn.Identity(), nn.Identity()
    found = merging(torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, None, ..., None])
    assert found[0, 0].tolist() == [[[1, 4, 2, 5], [3, 6, 0, 0]], [[7, 0, 8, 0], [9, 0, 0, 0]]]


# ---------------------------------------------------------------- the backbone
@pytest.mark.parametrize(('frames', 'height', 'width'), [(1, 32, 32), (3, 30, 50), (5, 33, 36)])
def test_shapes(frames, height, width):
    maps = tiny()(clips(2, frames, 3, height, width))
    sizes = [(-(-height // stride), -(-width // stride)) for stride in (4, 8)]
    assert [m.shape for m in maps] == [(2 * frames, 8 * 2**i, *size) for i, size in enumerate(sizes)]


def test_frames_see_their_own_clip_alone():
    model, x = tiny(), clips(2, 3, 3, 24, 28)
    changed = x.clone()
    changed[0, 1] += 1
    for before, after in zip(model(x), model(changed), strict=True):
        differs = (before != after).flatten(1).any(1).tolist()
        assert differs == [True, True, True, False, False, False]


def test_out_indices_and_final_norm():
    x = clips(1, 2, 3, 16, 16)
    model = tiny(final_norm=True, out_indices=(1,))
    (normed,) = model(x)
    norm, model.norm = model.norm, None
    (plain,) = model(x)
    assert_close(normed, norm(plain.movedim(1, -1)).movedim(-1, 1), **EXACT)


def test_gradients_reach_everything_and_recomputation_changes_nothing():
    x, results = clips(3, 3, 3, 28, 24), []
    weights = tiny().state_dict()
    for with_cp in (False, True):
        model = tiny(with_cp=with_cp, drop_path_rate=0.3).train()
        model.load_state_dict(weights)
        torch.manual_seed(1)  # of the dropped paths
        loss = sum(m.square().mean() for m in model(x))
        loss.backward()
        results.append((loss, {name: p.grad for name, p in model.named_parameters()}))
    assert [name for name, grad in results[0][1].items() if grad is None or not grad.any()] == []
    assert_close(results[1], results[0], **EXACT)


def test_frozen_stages_are_not_trained():
    model = tiny(frozen_stages=1).train()
    sum(m.sum() for m in model(clips(1, 2, 3, 24, 24))).backward()
    frozen = ('patch_embed.', 'layers.0.')
    assert all((p.grad is None) == name.startswith(frozen) for name, p in model.named_parameters())
    assert not any(m.training for m in (*model.patch_embed.modules(), *model.layers[0].modules()))
    assert all(m.training for m in model.layers[1].modules())


# ---------------------------------------------------------------- the official weights
def official_shapes(embed_dims: int, depths: tuple, num_heads: tuple) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the official backbone, patch (2,4,4) and window (8,7,7), but for its constants."""

    def linear(name: str, into: int, out: int) -> dict:
        return {f'{name}.weight': (out, into), f'{name}.bias': (out,)}

    def norm(name: str, width: int) -> dict:
        return {f'{name}.weight': (width,), f'{name}.bias': (width,)}

    shapes = {'patch_embed.proj.weight': (embed_dims, 3, 2, 4, 4), 'patch_embed.proj.bias': (embed_dims,)}
    shapes |= norm('patch_embed.norm', embed_dims)
    for i, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
        c = embed_dims * 2**i
        for block in (f'layers.{i}.blocks.{j}' for j in range(depth)):
            shapes |= norm(f'{block}.norm1', c) | norm(f'{block}.norm2', c)
            shapes |= {f'{block}.attn.relative_position_bias_table': (15 * 13 * 13, heads)}
            shapes |= linear(f'{block}.attn.qkv', c, 3 * c) | linear(f'{block}.attn.proj', c, c)
            shapes |= linear(f'{block}.mlp.fc1', c, 4 * c) | linear(f'{block}.mlp.fc2', 4 * c, c)
        if i < len(depths) - 1:
            shapes |= norm(f'layers.{i}.downsample.norm', 4 * c)
            shapes |= {f'layers.{i}.downsample.reduction.weight': (2 * c, 4 * c)}
    return shapes | norm('norm', embed_dims * 2 ** (len(depths) - 1))


VARIANTS = {  # with a classifier of 400 classes: torchvision's num_params of swin3d_t, swin3d_s, swin3d_b
    'tiny': (96, (2, 2, 6, 2), (3, 6, 12, 24), 28_158_070),
    'small': (96, (2, 2, 18, 2), (3, 6, 12, 24), 49_816_678),
    'base': (128, (2, 2, 18, 2), (4, 8, 16, 32), 88_048_984),
}


@pytest.mark.parametrize(('embed_dims', 'depths', 'num_heads', 'published'), VARIANTS.values(), ids=VARIANTS)
def test_names_and_shapes_are_the_official_ones(embed_dims, depths, num_heads, published):
    sizes = dict(embed_dims=embed_dims, depths=depths, num_heads=num_heads)
    with torch.device('meta'):
        model = VideoSwinTransformer(**sizes, patch_size=(2, 4, 4), final_norm=True)
    found = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert found == official_shapes(**sizes)
    classifier = 8 * embed_dims * 400 + 400
    assert sum(p.numel() for p in model.parameters()) + classifier == published


@pytest.fixture
def official(tmp_path) -> tuple[VideoSwinTransformer, Path]:
    """An official model, and its weights as a recognizer's checkpoint holds them."""
    model = tiny(patch_size=(2, 4, 4), final_norm=True)
    weights = {f'backbone.{name}': tensor for name, tensor in model.state_dict().items()}
    weights['backbone.layers.0.blocks.0.attn.relative_position_index'] = torch.zeros(18, 18, dtype=torch.long)
    weights['cls_head.fc_cls.weight'] = torch.zeros(4, 16)
    torch.save(dict(meta=dict(epoch=30), state_dict=weights), tmp_path / 'official.pth')
    return model, tmp_path / 'official.pth'


def pretrained(file: Path, **overrides) -> VideoSwinTransformer:
    model = tiny(init_cfg=dict(type='Pretrained', checkpoint=str(file)), **overrides)
    model.init_weights()
    return model


def test_an_official_file_gives_standing_pictures_the_same_maps(official):
    model, file = official
    picture = clips(1, 1, 3, 24, 20)
    standing = picture.expand(-1, 2, -1, -1, -1)
    assert_close(pretrained(file)(picture)[0], model(standing)[0], **EXACT)
    whole = pretrained(file, patch_size=(2, 4, 4), final_norm=True)
    assert_close(dict(whole.state_dict()), dict(model.state_dict()), rtol=0, atol=0)


def test_files_that_do_not_fit_are_refused(official, tmp_path):
    _, file = official
    with pytest.raises(FileNotFoundError, match='none.pth'):
        pretrained(tmp_path / 'none.pth')
    with pytest.raises(CheckpointError, match=r'official.pth does not fit .* missing \(layers\.1\.blocks\.2\.'):
        pretrained(file, depths=(2, 3))
    checkpoint = torch.load(file, weights_only=True)
    kernel = 'backbone.patch_embed.proj.weight'
    checkpoint['state_dict'][kernel] = checkpoint['state_dict'][kernel][:, :, 0]
    torch.save(checkpoint, file)
    with pytest.raises(CheckpointError, match='no 3-D patch_embed'):
        pretrained(file)


# ---------------------------------------------------------------- in the detector
@pytest.fixture(scope='module')
def detector() -> nn.Module:
    model = MODELS.build(shrink(Config.fromfile(CONFIG)).model).double().eval()
    for parameter in model.backbone.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


@torch.no_grad()
def test_features_of_a_batch_are_each_clips_own(detector):
    x = clips(2, 3, 3, 64, 96)
    alone = zip(*(detector.extract_feat(clip[None]) for clip in x), strict=True)
    for together, levels in zip(detector.extract_feat(x), alone, strict=True):
        assert_close(together, torch.cat(levels), **EXACT)


@torch.no_grad()
def test_clips_are_not_cut_into_chunks(detector, monkeypatch):
    x = clips(1, 3, 3, 64, 96)
    whole = detector.extract_feat(x)
    monkeypatch.setattr(detector, 'test_cfg', dict(frame_chunk=1))
    assert detector.frame_chunk == 1
    assert_close(detector.extract_feat(x), whole, rtol=0, atol=0)
    single = detector.backbone(x[:, :1])[0]
    assert not torch.allclose(single, whole[0][:1])


@torch.no_grad()
def test_frames_do_not_see_those_of_another_window(detector, monkeypatch):
    x = clips(2, 5, 3, 64, 96)
    monkeypatch.setattr(detector, 'test_cfg', dict(window=2))
    parts = [[level.unflatten(0, (2, -1)) for level in detector.extract_feat(x[:, t : t + 2])] for t in (0, 2, 4)]
    for level, *expected in zip(detector.extract_windows(x), *parts, strict=True):
        assert_close(level.unflatten(0, (2, 5)), torch.cat(expected, 1), **EXACT)
    whole = detector.extract_feat(x)[0]
    assert not torch.allclose(detector.extract_windows(x)[0], whole)
    monkeypatch.setattr(detector, 'test_cfg', dict(window=None))
    assert torch.equal(detector.extract_windows(x)[0], whole)


def test_the_bias_fits_the_fused_kernels_of_cuda(monkeypatch):
    """They want a mask whose last axis is dense; the CPU's does not care."""
    strides = []
    attention = F.scaled_dot_product_attention

    def record(*args, attn_mask):
        strides.append(attn_mask.stride(-1))
        return attention(*args, attn_mask=attn_mask)

    monkeypatch.setattr(F, 'scaled_dot_product_attention', record)
    backbone = MODELS.build(shrink(Config.fromfile(CONFIG)).model.backbone)
    backbone(clips(1, 3, 3, 64, 96).float())
    assert set(strides) == {1}
