"""Lets mmcv be imported and used whether or not its compiled operators are there."""

import importlib.util
import sys
import types


class MissingOperators(types.ModuleType):
    """Stand-in for ``mmcv._ext``: every operator exists and raises when it is called."""

    def __getattr__(self, name: str):
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*args, **kwargs):
            raise RuntimeError(
                f'mmcv was installed without compiled operators, and {name} has no PyTorch implementation. '
                'Run tools/install_mmcv_ops.sh to build them for the torch and CUDA that are present.'
            )

        return missing


def install() -> bool:
    """Puts the stand-in there if the operators are missing. Returns whether compiled operators are present."""
    if importlib.util.find_spec('mmcv._ext') is not None and not isinstance(sys.modules.get('mmcv._ext'), MissingOperators):
        return True
    if 'mmcv._ext' not in sys.modules:
        module = MissingOperators('mmcv._ext')
        module.__spec__ = None
        sys.modules['mmcv._ext'] = module
    from mmcv.ops import multi_scale_deform_attn

    # The dispatch inside MultiScaleDeformableAttention then always takes mmcv's own PyTorch implementation.
    multi_scale_deform_attn.IS_CUDA_AVAILABLE = False
    return False
