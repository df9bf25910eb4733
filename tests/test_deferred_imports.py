"""What is deferred is the real thing as soon as it is used."""

import subprocess
import sys
import threading

import pytest

from ifirvos.deferred_imports import deferred


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that counts how often it is imported, deferred while ``user`` was imported."""
    (tmp_path / 'heavy').mkdir()
    (tmp_path / 'heavy' / '__init__.py').write_text(
        'import builtins\nbuiltins.heavy_imports = 1\nLEVEL = 3\n__version__ = "1.2"\n'
    )
    (tmp_path / 'heavy' / 'shapes.py').write_text(
        'class Shape:\n    sides = 4\n    def __init__(self, size): self.size = size\ndef double(x): return 2 * x\n'
    )
    (tmp_path / 'user.py').write_text(
        'import heavy\nimport heavy.shapes as hs\nfrom heavy.shapes import Shape, double\n'
        'try:\n    import heavy_but_absent\nexcept ImportError:\n    heavy_but_absent = None\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    import builtins

    with deferred('heavy', 'heavy_but_absent'):
        import user
    yield user
    for name in ('user', 'heavy', 'heavy.shapes'):
        sys.modules.pop(name, None)
    if hasattr(builtins, 'heavy_imports'):
        del builtins.heavy_imports


def imported() -> bool:
    import builtins

    return hasattr(builtins, 'heavy_imports')


def test_nothing_is_imported_before_it_is_used(package):
    assert not imported()
    assert 'heavy' not in sys.modules
    assert package.heavy_but_absent is None
    assert package.double(4) == 8
    assert imported()


def test_deferred_classes_are_the_real_ones(package):
    shape = package.Shape(5)
    from heavy.shapes import Shape

    assert type(shape) is Shape
    assert shape.size == 5
    assert isinstance(shape, package.Shape)
    assert not isinstance(3, package.Shape)
    assert package.Shape.sides == package.hs.Shape.sides == 4
    assert isinstance(package.Shape, type)  # registries take nothing else

    class Square(package.Shape):
        corners = 4

    assert issubclass(Square, Shape)
    assert Square(2).size == 2


def test_what_was_imported_before_is_used_as_it_is(package, tmp_path):
    import heavy

    with deferred('heavy'):
        import heavy as again
    assert again is heavy
    assert again.LEVEL == 3
    assert sys.modules['heavy'] is heavy


def test_what_is_used_inside_the_block_is_the_real_thing_from_there(package):
    sys.modules.pop('user')
    with deferred('heavy'):
        import user

        assert user.double(2) == 4
        import heavy.shapes

        assert heavy.shapes.double.__code__.co_name == 'double'
    assert sys.modules['heavy'] is heavy


def test_a_version_that_is_asked_for_inside_the_block_is_the_real_one(package):
    """As scikit-learn asks scipy's when it is imported."""
    sys.modules.pop('user')
    with deferred('heavy'):
        import heavy

        assert heavy.__version__ == '1.2'
        assert not hasattr(heavy, '__all__')


def test_another_thread_gets_the_real_package(package):
    """Of a class or number it would otherwise keep a stand-in, in a server that builds a model meanwhile."""

    def load() -> None:
        import heavy
        from heavy import LEVEL
        from heavy.shapes import Shape

        found.extend([LEVEL, heavy.LEVEL, Shape.sides, type(Shape)])

    for already in (False, True):  # a stand-in is there
        sys.modules.pop('user')
        with deferred('heavy'):
            if already:
                import user

                assert type(user.Shape) is not type
            found = []
            thread = threading.Thread(target=load)
            thread.start()
            thread.join()
            import user
        assert found == [3, 3, 4, type]
        assert user.Shape(2).size == 2
        for name in ('heavy', 'heavy.shapes'):
            sys.modules.pop(name)


def test_a_module_is_the_real_one_after_the_block(package):
    assert package.heavy.LEVEL == 3
    assert package.hs.Shape.sides == 4


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """A package with a part that is deferred while ``user_of_parts`` was imported, and a part that is not."""
    (tmp_path / 'whole').mkdir()
    (tmp_path / 'whole' / '__init__.py').write_text('')
    (tmp_path / 'whole' / 'used.py').write_text('NUMBER = 7\n')
    (tmp_path / 'whole' / 'unused.py').write_text(
        'from enum import Enum\n'
        'class Base:\n'
        '    def __init__(self, size): self.size = size\n'
        'Level = Enum("Level", "low high")\n'
        'def mark(function, value=1):\n'
        '    def call(*args): return value, function(*args)\n'
        '    return call\n'
    )
    (tmp_path / 'user_of_parts.py').write_text(
        'import whole.unused\nfrom whole.used import NUMBER\nfrom whole.unused import Base, Level, mark\n'
        'class Derived(Base):\n'
        '    def __init__(self, size): super().__init__(2 * size)\n'
        '@mark\ndef function(x): return x\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    with deferred('whole.unused', 'whole.of_another_version', 'none.at_all', decorators=['whole.unused']):
        import user_of_parts
    yield user_of_parts
    for name in ('user_of_parts', 'whole', 'whole.used', 'whole.unused'):
        sys.modules.pop(name, None)


def test_a_part_of_a_package_is_deferred(parts):
    assert parts.NUMBER == sys.modules['whole.used'].NUMBER == 7
    assert 'whole.unused' not in sys.modules
    assert not hasattr(sys.modules['whole'], 'unused')
    assert not isinstance(3, parts.Base)  # nobody has made one
    assert not isinstance(3, parts.Derived)
    assert 'whole.unused' not in sys.modules
    assert parts.Level['high'].name == 'high'
    import whole.unused

    assert isinstance(whole.unused.Base(1), parts.Base)


def test_a_class_derived_from_a_deferred_one_is_made_when_it_is_used(parts):
    stand_in = parts.Derived
    assert isinstance(stand_in, type)
    made = stand_in(4)
    import whole.unused

    assert made.size == 8  # super() is the real one's
    assert isinstance(made, stand_in)
    assert issubclass(type(made), whole.unused.Base)
    assert parts.Derived is type(made)
    assert stand_in(1).__class__ is type(made)


def test_a_deferred_decorator_does_nothing_until_its_package_is_imported(parts):
    assert parts.function(5) == 5
    assert parts.function.__name__ == 'function'
    assert 'whole.unused' not in sys.modules
    import whole.unused  # noqa: F401

    assert parts.function(5) == (1, 5)
    assert parts.mark(len, value=3)('ab') == (3, 2)


def test_inference_does_not_import_what_few_models_use():
    heavy = ('scipy', 'shapely', 'sklearn', 'matplotlib', 'imgaug', 'transformers', 'huggingface_hub')
    code = f'import sys, ifirvos; print([name for name in {heavy} if name in sys.modules])'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'


def test_a_text_encoder_does_not_import_what_it_does_not_use():
    """Scipy's optimisers, torch's compiler and sharded tensors; transformers finds them all the same."""
    code = """
import sys
import torch
from ifirvos.models.text_encoder import RobertaTextEncoder
shape = dict(
    hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=537,
    max_position_embeddings=20,
)
model = RobertaTextEncoder('synth_tokenizer', pretrained=False, config=shape).eval()
words = model(model.tokenize(['a star', 'a large red star']))['words']
heavy = ('scipy', 'torch._dynamo', 'torch.distributed.fsdp', 'torch.distributed.tensor')
print([name for name in heavy if name in sys.modules])
from transformers.loss.loss_for_object_detection import linear_sum_assignment
print(*linear_sum_assignment([[1, 0], [0, 1]]))
compiled = torch.compile(model.model, backend='eager')
tokens = model.tokenize(['a star', 'a large red star'])
found = compiled(**tokens).last_hidden_state
torch.testing.assert_close(found, model.model(**tokens).last_hidden_state)
from transformers.distributed.utils import is_dtensor
print(is_dtensor(found), 'torch._dynamo' in sys.modules)
"""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
    assert done.stdout.splitlines() == ['[]', '[0 1] [1 0]', 'False True'], done.stderr[-2000:]
