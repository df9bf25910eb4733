"""Imports the scripts in tools/, which are no package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def load_tool(path: str, register: bool = False) -> ModuleType:
    """Return a script as a module.

    Args:
        path: Below tools/, as 'analysis_tools/ablate.py'.
        register: Make it known to ``import`` under its name: worker processes are sent its functions by name.
    """
    spec = importlib.util.spec_from_file_location(Path(path).stem, TOOLS / path)
    module = importlib.util.module_from_spec(spec)
    if register:
        sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
