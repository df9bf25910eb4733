"""Defers rarely used imports of mmengine, mmdet and transformers until they are needed."""

from __future__ import annotations

import copyreg
import importlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType, new_class
from typing import Any


class _Deferred(type):
    """The type of what stands for a class or function; a class itself, because registries take nothing else."""

    def __new__(mcs, name: str, bases: tuple, namespace: dict, **options: Any) -> type:
        """Make a stand-in; a class derived from one is one too inside a block; later it derives from the real class."""
        if not bases:
            return super().__new__(mcs, name, bases, namespace)
        if not _in_a_block():
            return _derive(name, _real_bases(bases), namespace, options)
        # What super() means in its methods is set here and, to the real class, again by _derive.
        kept = ('__module__', '__qualname__', '__doc__', '__classcell__')
        stand_in = super().__new__(mcs, name, (), {key: namespace[key] for key in kept if key in namespace})
        type.__setattr__(stand_in, '_derived_from', (bases, namespace, options))
        type.__setattr__(stand_in, '_made', None)
        return stand_in

    def __init__(cls, name: str, bases: tuple, namespace: dict, **options: Any) -> None:
        super().__init__(name, bases, namespace)

    def _real(cls) -> Any:
        if '_derived_from' in vars(cls):
            if cls._made is None:
                bases, namespace, options = cls._derived_from
                real = _real_bases(bases)
                with _deriving:
                    if cls._made is None:
                        type.__setattr__(cls, '_made', _derive(cls.__name__, real, namespace, options))
                        _replace(cls, cls._made)
            return cls._made
        _give_up(cls.__module__)
        return _taken_from(cls.__module__, cls.__name__)

    def __call__(cls, *args, **kwargs) -> Any:
        if args and isinstance(args[0], FunctionType) and (package := _package_of_decorators(cls.__module__)):
            return _decorated_later(cls, package, *args, **kwargs)
        return cls._real()(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith('__'):  # what copying, pickling and inspecting ask every object for
            raise AttributeError(name)
        return getattr(cls._real(), name)

    def __setattr__(cls, name: str, value: Any) -> None:
        if '_derived_from' in vars(cls) and cls._made is None and _in_a_block():  # by a decorator of the class
            cls._derived_from[1][name] = value
            super().__setattr__(name, value)
        else:
            setattr(cls._real(), name, value)

    def __getitem__(cls, key: Any) -> Any:  # of an Enum or a mapping
        return cls._real()[key]

    def __contains__(cls, key: Any) -> bool:
        return key in cls._real()

    def __iter__(cls) -> Iterator:
        return iter(cls._real())

    def __instancecheck__(cls, instance: object) -> bool:
        return cls._is_made() and isinstance(instance, cls._real())

    def __subclasscheck__(cls, other: type) -> bool:
        return other is cls or (cls._is_made() and issubclass(other, cls._real()))

    def _is_made(cls) -> bool:
        """Whether there can be an instance."""
        if '_derived_from' in vars(cls):
            return cls._made is not None
        return not isinstance(sys.modules.get(cls._package, _ABSENT), DeferredModule)


_deriving = threading.RLock()


def _real_bases(bases: tuple) -> tuple:
    return tuple(base._real() if isinstance(base, _Deferred) else base for base in bases)


def _derive(name: str, bases: tuple, namespace: dict, options: dict) -> type:
    return new_class(name, bases, options, lambda body: body.update(namespace))


def _replace(stand_in: type, real: type) -> None:
    """Let every module have the real class; pickle, for one, looks there."""
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            for name in [name for name, value in list(vars(module).items()) if value is stand_in]:
                setattr(module, name, real)


def _taken_from(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


copyreg.pickle(_Deferred, lambda stand_in: (_taken_from, (stand_in.__module__, stand_in.__name__)))


def _package_of_decorators(module: str) -> str | None:
    packages = (
        package for finder in _finders if finder.thread == threading.get_ident() for package in finder.decorators
    )
    return next((package for package in packages if _is_part(module, package)), None)


def _decorated_later(decorator: _Deferred, package: str, function: FunctionType, *args, **kwargs) -> FunctionType:
    decorated: list[Callable] = []

    @wraps(function)
    def call(*given, **options):
        if not decorated:
            if isinstance(sys.modules.get(package, _ABSENT), DeferredModule):
                return function(*given, **options)
            decorated.append(decorator._real()(function, *args, **kwargs))
        return decorated[0](*given, **options)

    return call


class DeferredModule(ModuleType):
    """Stands for a module; whatever is taken from it stands for it too."""

    def __getattr__(self, name: str) -> Any:
        is_version = name == '__version__'  # packages compare it when they are imported
        if name.startswith('__') and not is_version:
            raise AttributeError(name)
        package = next((package for package in _deferred_here() if _is_part(self.__name__, package)), None)
        if package is not None and not is_version:
            return _Deferred(name, (), dict(__module__=self.__name__, _package=package))
        # Another thread, or what runs after the block, gets the real thing: it may be a number.
        _give_up(self.__name__)
        return _taken_from(self.__name__, name)


class _Finder:
    """Finds deferred modules for the packages named, while it is on ``sys.meta_path``."""

    def __init__(self, packages: set[str], decorators: Iterable[str] = ()) -> None:
        self.packages = packages
        self.decorators = packages.intersection(decorators)
        self.thread = threading.get_ident()

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if not any(_is_part(name, package) for package in list(self.packages)):
            return None
        if threading.get_ident() != self.thread:  # it would keep what stands for a class or a number
            _give_up(name)
            spec = _find(name)  # imports what it is part of, and perhaps the part with it
            if name in sys.modules:  # Python goes by its __spec__, and would run it again
                spec = sys.modules[name].__spec__ = ModuleSpec(name, _Imported(sys.modules[name]))
            return spec
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return DeferredModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: it stays empty."""


class _Imported:
    """Loads a module that has been imported already, as it is."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


_ABSENT = DeferredModule('absent')
_finders: list[_Finder] = []  # of the blocks that are open


def _in_a_block() -> bool:
    return any(finder.thread == threading.get_ident() for finder in list(_finders))


def _deferred_here() -> list[str]:
    finders = [finder for finder in list(_finders) if finder.thread == threading.get_ident()]
    return [package for finder in finders for package in list(finder.packages)]


def _is_part(module: str, package: str) -> bool:
    return module == package or module.startswith(f'{package}.')


def _find(name: str) -> ModuleSpec | None:
    parent = name.rpartition('.')[0]
    try:
        return PathFinder.find_spec(name, importlib.import_module(parent).__path__ if parent else None)
    except (ModuleNotFoundError, AttributeError):  # another version, which has no such part
        return None


def _give_up(module: str) -> None:
    """Defer a package no longer: something inside a block uses it."""
    for finder in _finders:
        for package in [package for package in list(finder.packages) if _is_part(module, package)]:
            finder.packages.discard(package)  # another thread may be as far
            _forget(package)


def _forget(package: str) -> None:
    # A list, because other threads may import meanwhile; and None is for what is to be missing.
    for name, module in list(sys.modules.items()):
        if _is_part(name, package) and (module is None or isinstance(module, DeferredModule)):
            sys.modules.pop(name, None)
    parent, _, own = package.rpartition('.')
    if isinstance(vars(sys.modules[parent]).get(own) if parent in sys.modules else None, DeferredModule):
        delattr(sys.modules[parent], own)


@contextmanager
def deferred(*packages: str, decorators: Iterable[str] = ()) -> Iterator[None]:
    """Defer what is imported from some packages inside the block; what imports them later gets the real ones.

    A package that is not installed is missing as ever, and one that has been imported already is used as it is. So is
    one that another thread imports meanwhile.

    Args:
        packages: Names, with dots for a part of a package; what the part is in is imported.
        decorators: More of them. Those change a function only for what the package itself does with it, as a
            compiler's marks, so that it stays as it is until the package is imported.
    """
    found = [name for name in (*packages, *decorators) if name not in sys.modules and _find(name) is not None]
    finder = _Finder({name for name in found if name not in sys.modules}, decorators)
    sys.meta_path.insert(0, finder)
    _finders.append(finder)
    try:
        yield
    finally:
        _finders.remove(finder)
        sys.meta_path.remove(finder)
        for package in list(finder.packages):
            _forget(package)
