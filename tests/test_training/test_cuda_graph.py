"""The training step as a CUDA graph gives what the usual step gives. Without a GPU, what it would hold runs again."""

from copy import deepcopy

import pytest
import torch
from mmengine.optim import OptimWrapper
from runs import Losses, run, tiny_config, without_validation
from tiny_model import build, model_config

from ifirvos.structures import constants_kept, image_sizes, to_device
from ifirvos.testing import demo_rvos_inputs
from ifirvos.training.cuda_graph import CudaGraphHook, GraphedStep

TEXTS = ('red', 'the blue square on the left')


class RunAgain(GraphedStep):
    """Without a GPU: what would be captured runs again, and may not ask for anything new of the host."""

    captures = 0

    def capture(self, step):
        self.captures += 1
        self.model.zero_grad(set_to_none=True)
        logs = step()
        grads = [(p, p.grad) for p in self.model.parameters() if p.grad is not None]
        known = set(self._constants)

        def replay():
            self.model.zero_grad(set_to_none=True)
            new = step()
            assert set(self._constants) == known
            for p, grad in grads:
                grad.copy_(p.grad)
            for name, value in logs.items():
                value.copy_(new[name])

        return replay, logs


def raw_batch(seed: int, frames: int = 2, texts=TEXTS, sizes=((32, 64), (32, 64))) -> dict:
    torch.manual_seed(seed)
    raw = demo_rvos_inputs(num_clips=2, num_frames=frames, sizes=list(sizes))
    for clip, text in zip(raw['data_samples'], texts, strict=True):
        clip.set_metainfo(dict(text=text))
    return raw


def train(model, step, batches) -> list[dict]:
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3), clip_grad=dict(max_norm=1.0))
    return [{name: float(value.detach()) for name, value in step(deepcopy(data), wrapper).items()} for data in batches]


@pytest.mark.parametrize('config', ['ifirvos/r18_synth_joint.py', 'referformer/r50_ytvos.py'])
def test_steps_are_the_usual_ones(config):
    """Also those of other sizes in between, and of sentences longer than what is kept free."""
    batches = [
        raw_batch(0),
        raw_batch(1),
        raw_batch(2, frames=3),
        raw_batch(3, texts=('left ' * 50, 'right')),
        raw_batch(4, sizes=((32, 32), (32, 64))),
        raw_batch(5, texts=TEXTS[::-1]),
    ]
    usual, graphed = build(model_config(config)), build(model_config(config))
    step = RunAgain(graphed)
    expected = train(usual, lambda data, wrapper: usual.train_step(data, wrapper), batches)
    given = train(graphed, step, batches)
    assert step.captures == 1
    for one, other in zip(given, expected, strict=True):
        assert one == pytest.approx(other, rel=2e-4)
    for (name, one), other in zip(graphed.named_parameters(), usual.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6, msg=name)


def test_capturing_leaves_running_statistics_alone():
    model = build(model_config('ifirvos/r18_synth_pretrain.py'))
    assert model.backbone.bn1.training
    step = RunAgain(model)
    before = model.backbone.bn1.num_batches_tracked.clone()
    train(model, step, [raw_batch(0), raw_batch(1)])
    assert model.backbone.bn1.num_batches_tracked == before + 2


def test_what_cannot_be_captured_takes_the_usual_step():
    class Refused(GraphedStep):
        def capture(self, step):
            step()
            raise RuntimeError('operation not permitted when stream is capturing')

    usual, refused = (build(model_config()) for _ in range(2))
    batches = [raw_batch(0), raw_batch(1)]
    expected = train(usual, lambda data, wrapper: usual.train_step(data, wrapper), batches)
    for one, other in zip(train(refused, Refused(refused), batches), expected, strict=True):
        assert one == pytest.approx(other, rel=2e-4)


@pytest.mark.parametrize('mark', [dict(key_frames_inds=[0]), dict(text_tokens=dict(input_ids=[0, 5, 2]))])
def test_clips_with_annotated_frames_or_tokens_take_the_usual_step(mark):
    model = build(model_config())
    data = raw_batch(0)
    data['data_samples'][1].set_metainfo(mark)
    assert GraphedStep(model).prepare(model.data_preprocessor(data, True)) is None


def test_hooks_keep_what_the_graph_writes():
    """They are not called when it runs, so a usual step in between would leave them with old tensors."""
    model = build(model_config('ifirvos/r18_synth_joint.py'))
    seen = []
    model.vli.lewv.register_forward_hook(lambda *args: seen.append(1))
    step = RunAgain(model)
    train(model, step, [raw_batch(0, frames=3)])
    calls = len(seen)
    assert calls
    train(model, step, [raw_batch(0)])  # the usual step
    assert len(seen) == calls
    train(model, step, [raw_batch(1, frames=3)])
    assert len(seen) == calls + 1


def test_constants_are_kept_while_asked_for():
    store = {}
    with constants_kept(store):
        first = to_device([(4, 6)], torch.device('cpu'))
        assert to_device([(4, 6)], torch.device('cpu')) is first
        assert to_device([(4, 6)], torch.device('cpu'), torch.float32) is not first
        own = torch.ones(2)
        assert to_device(own, torch.device('cpu')) is own
    assert len(store) == 2
    assert to_device([(4, 6)], torch.device('cpu')) is not first
    clip = demo_rvos_inputs(num_clips=1, num_frames=1, sizes=[(64, 96)])['data_samples']
    assert image_sizes(clip, torch.zeros(1)).tolist() == [[96, 64]]


def test_the_hook_says_why_it_cannot(data_root, tmp_path):
    losses = Losses()
    cfg = without_validation(tiny_config(data_root))
    runner = run(cfg, tmp_path, losses, default_hooks__cuda_graph=dict(type='CudaGraphHook'))
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert ('No CUDA graph: the model is not on a GPU.' in log) == (not torch.cuda.is_available())
    assert len(losses.values) == 6
    assert 'train_step' not in vars(runner.model)


def test_the_hook_replaces_the_step_of_a_model_on_a_gpu():
    class Parameter:
        is_cuda = True

    class Runner:
        distributed = False

        def __init__(self, wrapper):
            self.model = build(model_config())
            self.model.parameters = lambda: iter([Parameter()])
            self.optim_wrapper = wrapper

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    hook = CudaGraphHook()
    runner = Runner(OptimWrapper(optimizer))
    hook.before_train(runner)
    assert isinstance(runner.model.train_step, GraphedStep)
    hook.after_train(runner)
    assert 'train_step' not in vars(runner.model)
    other = Runner(OptimWrapper(optimizer))
    other.model.text_encoder = torch.nn.Identity()
    hook.before_train(other)
    assert 'train_step' not in vars(other.model)
    accumulating = Runner(OptimWrapper(optimizer, accumulative_counts=2))
    hook.before_train(accumulating)
    assert 'train_step' not in vars(accumulating.model)


@pytest.mark.gpu
def test_a_graph_gives_the_usual_losses(data_root, tmp_path):
    """Atomic additions make two runs on a GPU differ in the last digits, so the losses agree but for those."""
    cfg = without_validation(tiny_config(data_root, 'ifirvos/r18_synth.py'))
    usual, graphed = Losses(), Losses()
    run(cfg, tmp_path / 'usual', usual)
    run(cfg, tmp_path / 'graphed', graphed, default_hooks__cuda_graph=dict(type='CudaGraphHook'))
    assert 'is captured as a CUDA graph' in next((tmp_path / 'graphed').glob('*/*.log')).read_text()
    assert graphed.values == pytest.approx(usual.values, rel=2e-3)
