"""The registries that ifirvos adds to: mmdet's own.

mmdet's registries are used as they are (``default_scope`` stays ``'mmdet'``), because a base config taken from
``mmdet::`` carries ``_scope_='mmdet'`` into every dict it merges with. No other file of the package names a scope.
"""

from mmdet.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIM_WRAPPERS,
    TASK_UTILS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
)
from mmengine.registry import FUNCTIONS, STRATEGIES  # mmdet has none of its own

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'FUNCTIONS',
    'HOOKS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'OPTIM_WRAPPERS',
    'STRATEGIES',
    'TASK_UTILS',
    'TRANSFORMS',
    'VISBACKENDS',
    'VISUALIZERS',
]
