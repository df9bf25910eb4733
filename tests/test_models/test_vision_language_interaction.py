"""VEwL and LEwV against the paper's equations, written down in numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from ifirvos.models.vision_language_interaction import CrossModalInteraction, VisionLanguageInteraction

C, HEADS, L = 16, 4, 5
SIZES = (12, 6, 3)  # T*h*w of three levels


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def attention(module: nn.MultiheadAttention, q, k, v, padding) -> np.ndarray:
    """Multi-head attention of one clip: q (Q,C), k and v (K,C), padding (K,) True where nothing may be read."""
    weights, biases = array(module.in_proj_weight).reshape(3, C, C), array(module.in_proj_bias).reshape(3, C)
    q, k, v = (x @ w.T + b for x, w, b in zip((q, k, v), weights, biases, strict=True))
    heads = []
    for head in np.split(np.arange(C), HEADS):
        logits = q[:, head] @ k[:, head].T / np.sqrt(C / HEADS)
        logits[:, padding] = -np.inf
        share = np.exp(logits - logits.max(1, keepdims=True))
        heads.append(share / share.sum(1, keepdims=True) @ v[:, head])
    return np.concatenate(heads, 1) @ array(module.out_proj.weight).T + array(module.out_proj.bias)


def layer_norm(norm: nn.LayerNorm, x: np.ndarray) -> np.ndarray:
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + norm.eps)
    return x * array(norm.weight) + array(norm.bias)


def ffn_fusion(block: CrossModalInteraction, x: np.ndarray, attended: np.ndarray) -> np.ndarray:
    x = layer_norm(block.norms[0], x + attended)
    first, second = block.ffn.layers[0][0], block.ffn.layers[1]
    inner = np.maximum(x @ array(first.weight).T + array(first.bias), 0) @ array(second.weight).T + array(second.bias)
    return layer_norm(block.norms[1], x + inner)


def build(vewl=True, lewv=True, lewv_cfg=None, **kwargs) -> VisionLanguageInteraction:
    """The module in float64, with biases and norms that are not at their trivial initial values."""
    vli = VisionLanguageInteraction(
        vewl={} if vewl else None,
        lewv=(lewv_cfg or {}) if lewv else None,
        embed_dims=C,
        num_heads=HEADS,
        feedforward_channels=24,
        **kwargs,
    )
    vli.init_weights()
    for parameter in vli.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, mean=0.5, std=0.3)
    vli.double().eval()
    return vli


@pytest.fixture
def inputs() -> dict:
    """Two clips; the second has padded pixels and padded words."""
    torch.manual_seed(3)
    masks = [torch.zeros(2, size, dtype=torch.bool) for size in SIZES]
    for mask, padded in zip(masks, (5, 2, 1), strict=True):
        mask[1, -padded:] = True
    word_mask = torch.tensor([[False] * L, [False] * 3 + [True] * 2])
    return dict(
        levels=[torch.randn(2, size, C, dtype=torch.float64) for size in SIZES],
        positions=[torch.randn(2, size, C, dtype=torch.float64) for size in SIZES],
        masks=masks,
        words=torch.randn(2, L, C, dtype=torch.float64),
        word_position=torch.randn(2, L, C, dtype=torch.float64),
        word_mask=word_mask,
    )


def expected_texts(vli, inputs, clip) -> list[np.ndarray]:
    """Eq. 1-2: F <- MHA(F, F_v + pos, F_v) * F, level after level; or a variant of it."""
    block = vli.lewv.interaction
    texts = [array(inputs['words'][clip])]
    for level, position, mask in zip(inputs['levels'], inputs['positions'], inputs['masks'], strict=True):
        v, pos, padding = (array(x[clip]) for x in (level, position, mask))
        attended = attention(block.attn, texts[-1], v + pos, v, padding)
        text = attended * texts[-1] if block.fusion == 'multiply' else ffn_fusion(block, texts[-1], attended)
        texts.append(text + texts[-1] if vli.lewv.residual else text)
    return texts


@pytest.mark.parametrize('fusion', ['multiply', 'ffn'])
@pytest.mark.parametrize('residual', [False, True])
@pytest.mark.parametrize('post_norm', [False, True])
def test_lewv_follows_equations_1_and_2(inputs, fusion, residual, post_norm):
    vli = build(fusion=fusion, lewv_cfg=dict(residual=residual, post_norm=post_norm))
    _, sentence, texts = vli(**inputs)
    assert len(texts) == len(SIZES) + 1
    for clip in range(2):
        expected = expected_texts(vli, inputs, clip)
        for text, want in zip(texts, expected, strict=True):
            np.testing.assert_allclose(array(text[clip]), want, rtol=1e-9, atol=1e-12)
        first = expected[-1][0]
        first = layer_norm(vli.lewv.norm, first) if post_norm else first
        pooled = np.tanh(first @ array(vli.lewv.pool.weight).T + array(vli.lewv.pool.bias))
        np.testing.assert_allclose(array(sentence[clip]), pooled, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('fusion', ['multiply', 'ffn'])
@pytest.mark.parametrize('text', ['fixed', 'dynamic'])
def test_vewl_follows_equations_3_and_4(inputs, fusion, text):
    """F'_v = MHA(F_v, F_l + pos, F_l) * F_v; 'dynamic': level i reads LEwV's text after i iterations."""
    vli = build(fusion=fusion, text=text)
    levels, _, _ = vli(**inputs)
    block = vli.vewl.interaction
    for clip in range(2):
        texts = expected_texts(vli, inputs, clip)
        for i, level in enumerate(levels):
            words = texts[i] if text == 'dynamic' else array(inputs['words'][clip])
            v, pos, padding = (
                array(x[clip]) for x in (inputs['levels'][i], inputs['word_position'], inputs['word_mask'])
            )
            attended = attention(block.attn, v, words + pos, words, padding)
            want = attended * v if fusion == 'multiply' else ffn_fusion(block, v, attended)
            np.testing.assert_allclose(array(level[clip]), want, rtol=1e-9, atol=1e-12)


def test_either_half_may_be_off(inputs):
    levels, sentence, texts = build(vewl=False)(**inputs)
    assert all(new is old for new, old in zip(levels, inputs['levels'], strict=True))
    assert sentence.shape == (2, C)
    levels, sentence, texts = build(lewv=False)(**inputs)
    assert sentence is None
    assert not torch.equal(levels[0], inputs['levels'][0])


@pytest.mark.parametrize('max_pixels', [1, 4, 100])
def test_pixels_may_go_through_in_parts(inputs, max_pixels):
    vli = build(text='dynamic')
    whole, parts = vli(**inputs)[0], vli(**inputs, max_pixels=max_pixels)[0]
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_the_product_is_not_taken_in_low_precision(inputs):
    """Under autocast F keeps float32: at initialisation it is far below what half precision resolves."""
    inputs = {
        key: [x.float() if x.is_floating_point() else x for x in value] if isinstance(value, list) else value
        for key, value in inputs.items()
    }
    inputs |= {key: inputs[key].float() for key in ('words', 'word_position')}
    vli = build(vewl=False).float()
    plain = vli(**inputs)[1]
    with torch.autocast('cpu', torch.bfloat16):
        mixed = vli(**inputs)[1]
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, plain)


@pytest.mark.parametrize(('key', 'allowed'), [('fusion', 'multiply'), ('text', 'dynamic')])
def test_an_unknown_variant_names_the_allowed_ones(key, allowed):
    with pytest.raises(ValueError, match=f"{key} must be one of .*{allowed}.*, not 'sum'"):
        build(**{key: 'sum'})
