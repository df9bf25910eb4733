"""Defers rarely used imports of mmengine and mmdet until they are needed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class _Deferred(type):
    """The type of what stands for a class or function; a class itself, because registries take nothing else."""

    def __new__(mcs, name: str, bases: tuple, namespace: dict) -> type:
        """Make a stand-in. A class derived from one outside a block of :func:`deferred` derives from the real class."""
        if not bases or _blocks:
            # The methods' super() reads the class from this cell; a class must have filled it when it is made.
            own = {key: namespace[key] for key in ('__module__', '__qualname__', '__classcell__') if key in namespace}
            stand_in = super().__new__(mcs, name, (), own)
            stand_in._definition = (bases, namespace) if bases else None
            return stand_in
        return _derive(name, bases, namespace)

    def _real(cls) -> Any:
        if cls._definition is None:
            for finder in _blocks:  # used inside the block already
                finder.give_up(cls.__module__)
            return getattr(importlib.import_module(cls.__module__), cls.__name__)
        bases, namespace = cls._definition
        if '_made' not in vars(cls):
            cell = namespace.pop('__classcell__', None)
            cls._made = _derive(cls.__name__, bases, namespace)
            if cell is not None:
                cell.cell_contents = cls._made
            module = sys.modules.get(cls.__module__)
            if getattr(module, cls.__name__, None) is cls:  # where pickle looks for it
                setattr(module, cls.__name__, cls._made)
        return cls._made

    def _loaded(cls) -> Any:
        """Return the real class if anything can be an instance of it yet, else None."""
        if cls._definition is not None:
            return vars(cls).get('_made')
        module = sys.modules.get(cls.__module__)
        return None if module is None or isinstance(module, DeferredModule) else getattr(module, cls.__name__)

    def __call__(cls, *args, **kwargs) -> Any:
        return cls._real()(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith('__'):  # what copying, pickling and inspecting ask every object for
            raise AttributeError(name)
        return getattr(cls._real(), name)

    def __instancecheck__(cls, instance: object) -> bool:
        real = cls._loaded()
        return real is not None and isinstance(instance, real)


def _derive(name: str, bases: tuple, namespace: dict) -> type:
    real = tuple(base._real() if isinstance(base, _Deferred) else base for base in bases)
    return type(real[0])(name, real, namespace)


class DeferredModule(ModuleType):
    """Stands for a module; whatever is taken from it stands for it too."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        return _Deferred(name, (), dict(__module__=self.__name__))


class _Finder:
    """Finds deferred modules for the packages named, while it is on ``sys.meta_path``."""

    def __init__(self, packages: set[str]) -> None:
        self.packages = packages

    def covers(self, name: str) -> bool:
        """Whether a module is one of the packages, or in one."""
        return any(name == package or name.startswith(f'{package}.') for package in self.packages)

    def give_up(self, name: str) -> None:
        """Defer no longer what a module belongs to."""
        found = {package for package in self.packages if _Finder({package}).covers(name)}
        self.packages -= found
        _forget(_Finder(found))

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if self.covers(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return DeferredModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: it stays empty."""


_blocks: list[_Finder] = []


@contextmanager
def deferred(*packages: str) -> Iterator[None]:
    """Defer what is imported from some packages inside the block; what imports them later gets the real ones.

    A package that is not installed is missing as ever, and one that has been imported already is used as it is. A class
    that is derived inside the block from a deferred one is made when it is used.

    Args:
        packages: Names, such as ``'scipy'`` or ``'torch.distributed.fsdp'``.
    """
    wanted = {name for name in packages if name not in sys.modules and PathFinder.find_spec(name.partition('.')[0])}
    finder = _Finder(wanted)
    sys.meta_path.insert(0, finder)
    _blocks.append(finder)
    try:
        yield
    finally:
        _blocks.remove(finder)
        sys.meta_path.remove(finder)
        _forget(finder)


def _forget(finder: _Finder) -> None:
    """Take the stand-ins of modules out of ``sys.modules`` and out of packages that stay."""
    for name in [name for name in sys.modules if finder.covers(name)]:
        module, (parent, _, child) = sys.modules.pop(name), name.rpartition('.')
        if module is not None and vars(sys.modules.get(parent, object)).get(child) is module:
            delattr(sys.modules[parent], child)
