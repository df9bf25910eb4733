"""The registries that ifirvos adds to: mmdet's own.

mmdet's registries are used as they are (``default_scope`` stays ``'mmdet'``), because a base config taken from
``mmdet::`` carries ``_scope_='mmdet'`` into every dict it merges with. No other file of the package names a scope.
"""

from mmdet.registry import DATASETS, HOOKS, LOOPS, METRICS, MODELS, TASK_UTILS, TRANSFORMS, VISUALIZERS

__all__ = ['DATASETS', 'HOOKS', 'LOOPS', 'METRICS', 'MODELS', 'TASK_UTILS', 'TRANSFORMS', 'VISUALIZERS']
