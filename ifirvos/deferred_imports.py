"""Defers rarely used imports of mmdet until they are needed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class _Deferred(type):
    """The type of what stands for a class or function; a class itself, because registries take nothing else."""

    def __new__(mcs, name: str, bases: tuple, namespace: dict) -> type:
        """Make a stand-in; a class derived from one derives from the real class."""
        if not bases:
            return super().__new__(mcs, name, bases, namespace)
        real = tuple(base._real() if isinstance(base, _Deferred) else base for base in bases)
        return type(real[0])(name, real, namespace)

    def _real(cls) -> Any:
        _give_up(cls.__module__)
        return getattr(importlib.import_module(cls.__module__), cls.__name__)

    def __call__(cls, *args, **kwargs) -> Any:
        return cls._real()(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith('__'):  # what copying, pickling and inspecting ask every object for
            raise AttributeError(name)
        return getattr(cls._real(), name)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls._real())


class DeferredModule(ModuleType):
    """Stands for a module; whatever is taken from it stands for it too."""

    def __getattr__(self, name: str) -> Any:
        is_version = name == '__version__'  # packages compare it when they are imported
        if name.startswith('__') and not is_version:
            raise AttributeError(name)
        if not is_version and any(finder.thread == threading.get_ident() for finder in _finders):
            return _Deferred(name, (), dict(__module__=self.__name__))
        # Another thread, or what runs after the block, gets the real thing: it may be a number.
        _give_up(self.__name__)
        return getattr(importlib.import_module(self.__name__), name)


class _Finder:
    """Finds deferred modules for the packages named, while it is on ``sys.meta_path``."""

    def __init__(self, packages: set[str]) -> None:
        self.packages = packages
        self.thread = threading.get_ident()

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        package, _, inner = name.partition('.')
        if package not in self.packages:
            return None
        if threading.get_ident() != self.thread:  # it would keep what stands for a class or a number
            _give_up(package)
            parent = importlib.import_module(name.rpartition('.')[0]) if inner else None
            return PathFinder.find_spec(name, parent and parent.__path__)
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return DeferredModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: it stays empty."""


_finders: list[_Finder] = []  # of the blocks that are open


def _give_up(module: str) -> None:
    """Defer a package no longer: something inside a block uses it."""
    for finder in _finders:
        package = module.partition('.')[0]
        if package in finder.packages:
            finder.packages.discard(package)  # another thread may be as far
            _forget({package})


def _forget(packages: set[str]) -> None:
    # A list, because other threads may import meanwhile.
    for name in [name for name in list(sys.modules) if name.partition('.')[0] in packages]:
        sys.modules.pop(name, None)


@contextmanager
def deferred(*packages: str) -> Iterator[None]:
    """Defer what is imported from some packages inside the block; what imports them later gets the real ones.

    A package that is not installed is missing as ever, and one that has been imported already is used as it is. So is
    one that another thread imports meanwhile.

    Args:
        packages: Top-level names.
    """
    wanted = {name for name in packages if name not in sys.modules and PathFinder.find_spec(name) is not None}
    finder = _Finder(wanted)
    sys.meta_path.insert(0, finder)
    _finders.append(finder)
    try:
        yield
    finally:
        _finders.remove(finder)
        sys.meta_path.remove(finder)
        _forget(finder.packages)
