"""The training step as a CUDA graph gives what the usual step gives. Without a GPU, what it would hold runs again."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from runs import Losses, run, tiny_config, without_validation
from tiny_model import build, model_config

from ifirvos.errors import ModelError
from ifirvos.structures import constants_kept, image_sizes, to_device
from ifirvos.testing import demo_rvos_inputs
from ifirvos.training import cuda_graph
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
    for number, (clip, text) in enumerate(zip(raw['data_samples'], texts, strict=True)):
        clip.set_metainfo(dict(text=text))
        raw['inputs'][number] = torch.randint(256, raw['inputs'][number].shape, dtype=torch.uint8)
        for t, frame in enumerate(clip):
            left, top, width = (torch.randint(2, 12, (3,)) + 2).tolist()
            instances = frame.gt_instances[:1] if (seed + t + number) % 3 else frame.gt_instances[:0]
            if len(instances):
                mask = np.zeros(instances.masks.masks.shape, np.uint8)
                mask[:, top : top + 8, left : left + width] = 1
                instances.masks.masks = mask
                instances.bboxes = torch.tensor([[left, top, left + width - 1.0, top + 7.0]])
            frame.gt_instances = instances
    return raw


def train(model, step, batches) -> list[dict]:
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3), clip_grad=dict(max_norm=1.0))
    return [{name: float(value.detach()) for name, value in step(deepcopy(data), wrapper).items()} for data in batches]


@pytest.mark.parametrize('config', ['ifirvos/r18_synth_joint.py', 'referformer/r50_ytvos.py'])
def test_steps_are_the_usual_ones(config):
    """Also those of other sizes in between, and of sentences longer than what is kept free."""
    batches = [
        raw_batch(6),
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


@pytest.mark.parametrize('stale', ['inputs', 'masks', 'boxes', 'valid', 'input_ids'])
def test_a_batch_that_is_not_read_anew_would_be_seen(stale):
    """What the test above compares depends on everything that the graph reads."""

    class Stale(RunAgain):
        def prepare(self, data):
            batch = super().prepare(data)
            if self._replay is not None:
                batch.tensors[stale] = self._batch.tensors[stale].clone()
            return batch

    usual, graphed = (build(model_config('ifirvos/r18_synth_joint.py')) for _ in range(2))
    batches = [raw_batch(0), raw_batch(6), raw_batch(7, texts=TEXTS[::-1])]
    expected = train(usual, lambda data, wrapper: usual.train_step(data, wrapper), batches)
    assert train(graphed, Stale(graphed), batches)[2]['loss'] != pytest.approx(expected[2]['loss'], rel=2e-4)


def test_a_parameter_that_is_frozen_later_is_left_alone():
    model = build(model_config('ifirvos/r18_synth_joint.py'))
    step = RunAgain(model)
    train(model, step, [raw_batch(0), raw_batch(1)])
    weight = model.text_projection.fc.weight.requires_grad_(False)
    before = weight.clone()
    train(model, step, [raw_batch(2)])
    assert torch.equal(weight, before)


def test_it_says_that_it_is_of_little_use(monkeypatch):
    monkeypatch.setattr(GraphedStep, 'SOON', 3)
    said = []
    monkeypatch.setattr(cuda_graph, 'print_log', lambda text, **kwargs: said.append(text))
    model = build(model_config())
    train(model, RunAgain(model), [raw_batch(0, frames=frames) for frames in (1, 2, 1)])
    assert said == [
        '3 of 3 steps could not use a CUDA graph: batches differ in their sizes, or sentences are longer than '
        'text_length.'
    ]


def test_capturing_leaves_running_statistics_alone():
    model = build(model_config('ifirvos/r18_synth_pretrain.py'))
    assert model.backbone.bn1.training
    step = RunAgain(model)
    before = model.backbone.bn1.num_batches_tracked.clone()
    train(model, step, [raw_batch(0), raw_batch(1), raw_batch(2)])
    assert step.captures == 1
    assert model.backbone.bn1.num_batches_tracked == before + 3


def test_a_step_that_cannot_be_captured_ends_training():
    class Refused(GraphedStep):
        def capture(self, step):
            raise RuntimeError('operation not permitted when stream is capturing')

    model = build(model_config())
    with pytest.raises(ModelError, match='train without CudaGraphHook. operation not permitted'):
        train(model, Refused(model), [raw_batch(0), raw_batch(1)])


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
    train(model, step, [raw_batch(0, frames=3), raw_batch(1, frames=3)])
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
