"""Training: loops that resume exactly, checkpoints, loading of the previous stage, pre-emption, curves."""

from .bf16 import BF16OptimWrapper
from .checkpointing import AtomicLocalBackend, SafeCheckpointHook
from .compilation import CompileHook
from .cuda_graph import CudaGraphHook
from .curves import CurvesHook
from .early_stopping import ResumableEarlyStopping
from .hand_over import HandOverError, HandOverHook
from .lewv_stats import LEwVStatsHook
from .loops import ResumableEpochLoop, ResumableIterLoop
from .non_finite import NonFiniteLoss, NonFiniteLossHook
from .parameter_groups import GroupedOptimWrapperConstructor
from .preemption import PreemptionHook
from .resumption import ResumeHook
from .run_info import RunInfoHook
from .seeding import DrawSampler, SeededDraws
from .sharded import ShardedOptimWrapper
from .strategies import AtomicFSDPStrategy, HandOverDeepSpeedStrategy
from .tensorboard import OptionalTensorboardVisBackend

__all__ = [
    'AtomicFSDPStrategy',
    'AtomicLocalBackend',
    'BF16OptimWrapper',
    'CompileHook',
    'CudaGraphHook',
    'CurvesHook',
    'DrawSampler',
    'GroupedOptimWrapperConstructor',
    'HandOverDeepSpeedStrategy',
    'HandOverError',
    'HandOverHook',
    'LEwVStatsHook',
    'NonFiniteLoss',
    'NonFiniteLossHook',
    'OptionalTensorboardVisBackend',
    'PreemptionHook',
    'ResumableEarlyStopping',
    'ResumableEpochLoop',
    'ResumableIterLoop',
    'ResumeHook',
    'RunInfoHook',
    'SafeCheckpointHook',
    'SeededDraws',
    'ShardedOptimWrapper',
]
