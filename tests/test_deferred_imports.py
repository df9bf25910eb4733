"""What is deferred is the real thing as soon as it is used."""

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ifirvos.deferred_imports import deferred


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that counts how often it is imported, deferred while ``user`` was imported."""
    (tmp_path / 'heavy').mkdir()
    (tmp_path / 'heavy' / '__init__.py').write_text(
        'import builtins\nbuiltins.heavy_imports = 1\nbuiltins.shapes_imports = 0\n'
        'LEVEL = 3\n__version__ = "1.2"\nfrom . import shapes\n'
    )
    (tmp_path / 'heavy' / 'shapes.py').write_text(
        'import builtins\nbuiltins.shapes_imports += 1\n'
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


def test_what_another_thread_imports_meanwhile_is_left_alone(package):
    import builtins

    sys.modules.pop('user')
    with deferred('heavy'):
        import heavy  # not its part, which the thread finds by itself

        def load() -> None:
            import heavy.shapes

            found.append(heavy.shapes.Shape)

        found = []
        thread = threading.Thread(target=load)
        thread.start()
        thread.join()
    import heavy.shapes

    assert [heavy.shapes.Shape] == found
    assert heavy.shapes.__spec__.loader.get_filename().endswith('shapes.py')
    assert builtins.shapes_imports == 1


def test_blocks_in_blocks(package):
    sys.modules.pop('user')
    with deferred('heavy'), deferred('heavy', 'json'):
        import user
    assert 'heavy' not in sys.modules
    with deferred('wave'):
        assert user.heavy.LEVEL == 3  # of a module that is no longer deferred
    assert user.Shape.sides == 4


def test_many_threads_derive_one_class(package):
    sys.modules.pop('user')
    with deferred('heavy'):
        import user

        class Square(user.Shape):
            def __init__(self, size):
                super().__init__(size)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(Square, range(32)))
    assert len({type(one) for one in made}) == 1
    assert [one.size for one in made] == list(range(32))


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
        'names = {"a": 1}\n'
        'class Strict:\n'
        '    def __init_subclass__(cls, level=0): cls.level = level\n'
        'def mark(function, value=1):\n'
        '    def call(*args): return value, function(*args)\n'
        '    return call\n'
    )
    (tmp_path / 'user_of_parts.py').write_text(
        'import whole.unused\nfrom whole.used import NUMBER\n'
        'from whole.unused import Base, Level, Strict, mark, names\n'
        'class Derived(Base):\n'
        '    def __init__(self, size): super().__init__(2 * size)\n'
        'Derived.label = "added"\n'
        'class Levelled(Strict, level=5): pass\n'
        '@mark\ndef function(x): return x\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'other_user.py').write_text('from user_of_parts import Derived\n')
    with deferred('whole.unused', 'whole.of_another_version', 'none.at_all', decorators=['whole.unused']):
        import other_user  # noqa: F401
        import user_of_parts
    yield user_of_parts
    for name in ('user_of_parts', 'other_user', 'whole', 'whole.used', 'whole.unused'):
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
    assert made.label == 'added'
    assert parts.Levelled().level == 5
    assert pickle.loads(pickle.dumps(made)).size == 8  # noqa: S301


def test_a_stand_in_behaves_as_what_it_stands_for(parts):
    import other_user

    assert not issubclass(int, parts.Base)
    assert 'whole.unused' not in sys.modules
    assert 'a' in parts.names
    assert 'b' not in parts.names
    assert [level.name for level in parts.Level] == ['low', 'high']
    stand_in = other_user.Derived
    made = parts.Derived(1)
    assert other_user.Derived is parts.Derived is type(made)
    assert issubclass(type(made), stand_in)
    assert issubclass(type(made), parts.Base)
    parts.Base.colour = 'red'
    import whole.unused

    assert whole.unused.Base.colour == made.colour == 'red'
    assert pickle.loads(pickle.dumps(parts.Base)) is whole.unused.Base  # noqa: S301


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
from torch._dynamo.testing import CompileCounter
counter = CompileCounter()
compiled = torch.compile(model.model, backend=counter)
tokens = model.tokenize(['a star', 'a large red star'])
found = compiled(**tokens).last_hidden_state
torch.testing.assert_close(found, model.model(**tokens).last_hidden_state)
from transformers.distributed.utils import is_dtensor
print(is_dtensor(found), 'torch._dynamo' in sys.modules, counter.frame_count)
"""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
    assert done.stdout.splitlines() == ['[]', '[0 1] [1 0]', 'False True 1'], done.stderr[-2000:]
