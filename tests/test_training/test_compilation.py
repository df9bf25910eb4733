"""CompileHook compiles for training only, changes nothing but rounding, resumes exactly, and is never a requirement."""

import pytest
import torch
from runs import At, Killed, Losses, kill, run, tiny_config, weights, without_validation

from ifirvos.errors import InputError
from ifirvos.training import compilation
from ifirvos.training.compilation import PARTS

HOOK = dict(type='CompileHook')
CONFIG = 'ifirvos/r18_synth_joint.py'  # without dropout, for which compiled code draws other numbers


@pytest.fixture
def compiled(monkeypatch):
    """In place of compiling: the names of the classes whose forward is called as compiled, one by one."""
    calls = []

    def stand_in(forward, dynamic):
        assert dynamic is False

        def call(*args, **kwargs):
            calls.append(type(forward.__self__).__name__)
            return forward(*args, **kwargs)

        return call

    monkeypatch.setattr(compilation, 'why_not', lambda device: None)
    monkeypatch.setattr(compilation.torch, 'compile', stand_in)
    return calls


class Lengths:
    """Keeps the lengths that sentences are padded to, in training and in evaluation."""

    def __init__(self, runner) -> None:
        self.found = {True: set(), False: set()}
        model, self.own = runner.model, runner.model.text_encoder.tokenize

        def tokenize(sentences):
            tokens = self.own(sentences)
            self.found[model.training].add(tokens['input_ids'].shape[1])
            return tokens

        model.text_encoder.tokenize = tokenize


def test_the_parts_are_compiled_in_training_only(data_root, tmp_path, compiled):
    lengths = []
    cfg = tiny_config(data_root, CONFIG)
    cfg.train_cfg.val_interval = 3
    at = At(0, lambda runner: lengths.append(Lengths(runner)))
    runner = run(cfg, tmp_path, at, default_hooks__compile=HOOK)
    names = {type(runner.model.get_submodule(part)).__name__ for part in PARTS}
    assert set(compiled) == names
    assert len(compiled) == 6 * len(PARTS), 'neither a step without them nor a validation with them'
    assert not any('forward' in vars(module) for module in runner.model.modules()), 'as they were, after training'
    found = lengths[0].found
    assert found[True] == {16}
    assert found[False]
    assert 16 not in found[False]


def test_the_parts_can_be_chosen(data_root, tmp_path, compiled):
    run(without_validation(tiny_config(data_root, CONFIG)), tmp_path, default_hooks__compile=dict(HOOK, parts='neck'))
    assert compiled == ['ChannelMapper'] * 6


def test_a_part_that_is_not_there(data_root, tmp_path):
    cfg = without_validation(tiny_config(data_root, CONFIG))
    with pytest.raises(InputError, match="no submodule 'pixels'"):
        run(cfg, tmp_path, default_hooks__compile=dict(HOOK, parts=['neck', 'pixels']))


def test_without_a_compiler_training_goes_on_and_says_why(data_root, tmp_path, monkeypatch):
    cfg = without_validation(tiny_config(data_root, CONFIG))
    usual, without = Losses(), Losses()
    run(cfg, tmp_path / 'usual', usual)

    def fails(*args, **kwargs):
        raise RuntimeError('no C++ compiler\nis to be found')

    monkeypatch.setattr(compilation.torch, 'compile', fails)
    run(cfg, tmp_path / 'without', without, default_hooks__compile=HOOK)
    log = next((tmp_path / 'without').glob('*/*.log')).read_text()
    assert 'Nothing is compiled: torch.compile fails here. no C++ compiler' in log
    assert without.values == usual.values


def test_a_max_length_that_is_no_multiple_is_not_padded_to(data_root, tmp_path, compiled):
    cfg = without_validation(tiny_config(data_root, CONFIG))
    cfg.model.text_encoder.max_length = 20
    lengths = []
    run(cfg, tmp_path, At(0, lambda runner: lengths.append(Lengths(runner))), default_hooks__compile=HOOK)
    assert lengths[0].found[True]
    assert 16 not in lengths[0].found[True]


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:The .grad attribute of a Tensor')  # torch looks while it compiles
def test_compiled_steps_differ_by_rounding_and_resume_exactly(data_root, tmp_path):
    if reason := compilation.why_not(torch.device('cpu')):
        pytest.skip(reason)
    cfg = without_validation(tiny_config(data_root, CONFIG))
    usual, whole, before, after = Losses(), Losses(), Losses(), Losses()
    run(cfg, tmp_path / 'usual', usual)
    cfg.default_hooks.compile = HOOK
    expected = weights(run(cfg, tmp_path / 'whole', whole))
    # The first step is computed with the same weights; then rounding grows, through Adam's division above all.
    assert whole.values[0] == pytest.approx(usual.values[0], rel=1e-5)
    assert whole.values == pytest.approx(usual.values, rel=1e-2)
    assert whole.values != usual.values, 'or nothing was compiled'
    torch.compiler.reset()  # as in a new process
    with pytest.raises(Killed):
        run(cfg, tmp_path / 'cut', before, At(3, kill))
    torch.compiler.reset()
    resumed = weights(run(cfg, tmp_path / 'cut', after, resume=True))
    assert before.values + after.values == whole.values
    for name, value in expected.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0, msg=name)
