"""Lets transformers list what its models export once, and quickly, when it is imported."""

import functools
import importlib.abc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_LISTS = 'transformers.utils.import_utils'


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == _LISTS else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            _change(module)

        spec.loader.exec_module = execute_and_change
        return spec


def _change(module: ModuleType) -> None:
    if hasattr(module, 'fetch__all__'):
        module.fetch__all__ = _from_its_end(module.fetch__all__)
    listing = getattr(module, 'create_import_structure_from_path', None)
    if hasattr(listing, 'cache_parameters'):
        module.create_import_structure_from_path = functools.cache(listing.__wrapped__)


def _from_its_end(fetch: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """Let a function that looks for the last line of a file that begins with ``__all__`` look at nothing before it."""

    @functools.wraps(fetch)
    def fetch_from_end(file_content: str) -> list[str]:
        return fetch(file_content[file_content.rfind('\n__all__') + 1 :])

    return fetch_from_end


@contextmanager
def listed_once() -> Iterator[None]:
    """Import transformers inside the block with less reading.

    Its start reads the source of all its models, 1,600 files, for what they export, line by line; and twice, since its
    cache holds 128 folders. Inside the block the cache holds all of them, and of a file only the end is looked through.
    The lists are the same. Without effect where transformers has been imported, or is a version without such functions.
    """
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
