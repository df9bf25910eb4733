"""The model on a GPU: the numbers of the CPU, with mmcv's kernel and without, and no wait for a number."""

from contextlib import contextmanager, nullcontext

import pytest
import torch
from mmcv.ops import multi_scale_deform_attn
from torch.testing import assert_close

from ifirvos.models.deformable_attention import ClipDeformableAttention
from ifirvos.registry import MODELS
from ifirvos.testing import demo_rvos_inputs, shrink

pytestmark = pytest.mark.gpu
CONFIGS = ['ifirvos/r50_ytvos.py', 'referformer/r50_ytvos.py', 'ifirvos/r18_synth_fine.py', 'ifirvos/swin_t_ytvos.py']


@pytest.fixture(params=[True, False], ids=['kernel', 'PyTorch'])
def with_kernel(request, monkeypatch):
    """The sampling of deformable attention by mmcv's kernel, if there is one, or by torch alone."""
    if request.param and not multi_scale_deform_attn.IS_CUDA_AVAILABLE:
        pytest.skip('mmcv without its CUDA operators: tools/install_mmcv_ops.sh builds them')
    monkeypatch.setattr(multi_scale_deform_attn, 'IS_CUDA_AVAILABLE', request.param)


@contextmanager
def exact():
    """Products of matrices in full fp32: convolutions are in TF32 by default."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def results(config: str, device: str) -> tuple[dict, dict, dict]:
    """All outputs, losses and gradients of a tiny model on two clips of different size, on the CPU's memory."""
    torch.manual_seed(0)
    model = MODELS.build(shrink(f'configs/{config}', dropout=False).model)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, ClipDeformableAttention):  # as initialised it samples where the gradient has a step
            torch.nn.init.uniform_(module.sampling_offsets.bias, -2, 2)
    raw = demo_rvos_inputs(num_clips=2, num_frames=3, sizes=[(64, 96), (48, 64)], absent=[(0, 1)])
    model.to(device).train()
    data = model.data_preprocessor(raw, True)
    assert data['inputs'].device.type == device
    with exact():
        losses = model(**data, mode='loss')
        sum(losses.values()).backward()
        with torch.no_grad():
            outputs = model.eval()(**data, mode='tensor')
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return tuple({name: value.detach().cpu() for name, value in part.items()} for part in (outputs, losses, gradients))


@pytest.mark.parametrize('config', CONFIGS)
def test_outputs_losses_and_gradients_are_those_of_the_cpu(config, with_kernel):
    for expected, actual in zip(results(config, 'cpu'), results(config, 'cuda'), strict=True):
        assert expected.keys() == actual.keys()
        for name, value in expected.items():
            scale = float(value.abs().max())
            assert_close(
                actual[name], value, rtol=1e-3, atol=1e-4 * max(scale, 1e-3), msg=lambda m, n=name: f'{n}: {m}'
            )


@pytest.mark.parametrize('frames', [1, 7, 67, 130])
def test_kernel_and_torch_agree_for_any_number_of_frames(frames, monkeypatch):
    """The kernel takes 64 frames at a time, and only numbers that divide the batch."""
    if not multi_scale_deform_attn.IS_CUDA_AVAILABLE:
        pytest.skip('mmcv without its CUDA operators: tools/install_mmcv_ops.sh builds them')
    torch.manual_seed(0)
    shapes = torch.tensor([[6, 8], [3, 4]], device='cuda')
    attention = ClipDeformableAttention(embed_dims=32, num_heads=4, num_levels=2, num_points=3, dropout=0.0).cuda()
    torch.nn.init.normal_(attention.sampling_offsets.weight, std=0.3)
    value = torch.randn(frames, 60, 32, device='cuda', requires_grad=True)
    query, points = torch.randn(frames, 9, 32, device='cuda'), torch.rand(frames, 9, 2, 2, device='cuda')
    found = []
    for kernel in (True, False):
        monkeypatch.setattr(multi_scale_deform_attn, 'IS_CUDA_AVAILABLE', kernel)
        value.grad = None
        with exact():
            out = attention(
                query,
                value=value,
                reference_points=points,
                spatial_shapes=shapes,
                level_start_index=torch.tensor([0, 48], device='cuda'),
            )
            out.square().sum().backward()
        found.append((out.detach(), value.grad))
    for kernel, plain in zip(*found, strict=True):
        assert_close(kernel, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('dtype', [None, torch.bfloat16], ids=['fp32', 'bf16'])
@pytest.mark.parametrize('config', CONFIGS[:3])
def test_nothing_waits_for_the_gpu(config, dtype, with_kernel):
    """CUDA itself raises where a number is asked for; sentences are encoded before, as there transformers looks."""
    model = MODELS.build(shrink(f'configs/{config}', dropout=False).model).cuda().train()
    raw = demo_rvos_inputs(num_clips=2, num_frames=3, sizes=[(64, 96), (48, 64)])
    data = model.data_preprocessor(raw, True)
    with torch.no_grad():
        text = model.encode_text(data['data_samples'])
    model.encode_text = lambda clips: text
    precision = nullcontext() if dtype is None else torch.autocast('cuda', dtype)
    with precision:
        sum(model(**data, mode='loss').values()).backward()  # what is set up once may wait
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode('error')
        try:
            sum(model(**data, mode='loss').values()).backward()
            model.eval()
            with torch.no_grad():
                feats = model.extract_feat(data['inputs'])
                outputs = model.forward_transformer(feats, data['data_samples'], lazily=True)
                model.bbox_head.choose_and_draw(**outputs, clips=data['data_samples'])
        finally:
            torch.cuda.set_sync_debug_mode('default')
