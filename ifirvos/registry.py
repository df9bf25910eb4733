"""The registries that ifirvos adds to: mmdet's own.

mmdet's registries are used as they are (``default_scope`` stays ``'mmdet'``), because a base config taken from
``mmdet::`` carries ``_scope_='mmdet'`` into every dict it merges with. No other file of the package names a scope.

A config of another project based on ``ifirvos::`` carries ``_scope_='ifirvos'`` in the same way, so that scope
exists too: every registry of mmdet has an empty child of that name, which finds everything in its parent.
"""

from mmdet.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    TASK_UTILS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
)
from mmengine import registry as mmengine_registry
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import FUNCTIONS, STRATEGIES, Registry  # mmdet has none

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'FUNCTIONS',
    'HOOKS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'STRATEGIES',
    'TASK_UTILS',
    'TRANSFORMS',
    'VISBACKENDS',
    'VISUALIZERS',
]


def _add_scope(name: str = 'ifirvos') -> None:
    """Make ``ifirvos::`` known to mmengine as the name of a package, and as a scope."""
    MODULE2PACKAGE.setdefault(name, name)
    roots = {id(value): value for value in vars(mmengine_registry).values() if isinstance(value, Registry)}
    for root in roots.values():
        parent = root.children.get('mmdet', root)
        if name not in parent.children:
            # Without locations mmengine would look for a function that registers all modules.
            Registry(parent.name, parent=parent, scope=name, locations=[name, *parent._locations])


_add_scope()
