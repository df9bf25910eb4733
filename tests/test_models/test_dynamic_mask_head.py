"""The dynamic mask head against its definition: three 1x1 convolutions a query on [F_seg, offsets]."""

import pytest
import torch
import torch.nn.functional as F

from ifirvos.models.dynamic_mask_head import DynamicMaskHead

FRAMES, QUERIES, C, HIDDEN, STRIDE = 2, 3, 6, 4, 4
SIZE = (5, 7)


def literal(features, params, reference_points, img_sizes):
    """Frame by frame, query by query, with the input of the first convolution written out."""
    y, x = torch.meshgrid(*(torch.arange(side) * STRIDE + STRIDE // 2 for side in SIZE), indexing='ij')
    masks = []
    for frame in range(FRAMES):
        for query in range(QUERIES):
            px, py = reference_points[frame, query] * img_sizes[frame]
            out = torch.cat([features[frame], torch.stack([px - x, py - y])])[None]  # 1 C+2 h w
            weights, rest = params[frame, query], 0
            shapes = [(HIDDEN, C + 2), (HIDDEN, HIDDEN), (1, HIDDEN)]
            kernels = []
            for rows, columns in shapes:
                kernels.append(weights[rest : rest + rows * columns].view(rows, columns, 1, 1))
                rest += rows * columns
            for i, kernel in enumerate(kernels):
                out = F.conv2d(out, kernel, weights[rest : rest + len(kernel)])
                rest += len(kernel)
                out = out.relu() if i < 2 else out
            assert rest == len(weights)
            masks.append(out[0, 0])
    return torch.stack(masks).view(FRAMES, QUERIES, *SIZE)


@pytest.fixture
def inputs() -> dict:
    params = DynamicMaskHead(C, HIDDEN, STRIDE).num_params
    return dict(
        features=torch.randn(FRAMES, C, *SIZE, dtype=torch.float64),
        params=torch.randn(FRAMES, QUERIES, params, dtype=torch.float64),
        reference_points=torch.rand(FRAMES, QUERIES, 2, dtype=torch.float64),
        img_sizes=torch.tensor([[28.0, 20.0], [25.0, 13.0]], dtype=torch.float64),  # w, h; the second is padded
    )


def test_equals_a_convolution_a_query(inputs):
    head = DynamicMaskHead(C, HIDDEN, STRIDE)
    torch.testing.assert_close(head(**inputs), literal(**inputs), rtol=1e-10, atol=1e-10)


def test_gradients_equal_too(inputs):
    head = DynamicMaskHead(C, HIDDEN, STRIDE)
    wanted = ('features', 'params', 'reference_points')
    for name in wanted:
        inputs[name].requires_grad_()
    weight = torch.randn(FRAMES, QUERIES, *SIZE, dtype=torch.float64)
    found, expected = (
        torch.autograd.grad((draw(**inputs) * weight).sum(), [inputs[name] for name in wanted])
        for draw in (head, literal)
    )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_official_number_of_parameters():
    assert DynamicMaskHead().num_params == 2153


def test_features_are_not_repeated_per_query(inputs):
    """Nothing that is computed is larger than F_seg itself."""
    wide = DynamicMaskHead(64, HIDDEN, STRIDE)
    args = dict(
        inputs,
        features=torch.randn(FRAMES, 64, *SIZE, dtype=torch.float64),
        params=torch.randn(FRAMES, QUERIES, wide.num_params, dtype=torch.float64),
    )
    sizes = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.shape[-2:].numel() >= SIZE[0] * SIZE[1]:
                sizes.append(out.untyped_storage().nbytes() // out.element_size())
            return out

    with Sizes():
        wide(**args)
    assert max(sizes) <= args['features'].numel()
