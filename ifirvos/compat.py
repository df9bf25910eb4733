"""Lets the package run on both OpenMMLab lines, and on mmcv with or without its compiled operators."""

import contextlib
import importlib
import importlib.machinery
import io
import re
import sys
import types
import warnings
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from .deferred_imports import deferred

# The oldest versions the tests pass on (the upstream line; onedl-* is newer under the same import names).
MINIMUM_VERSIONS = {'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmdet': '3.3.0'}
REMEDY = (
    "pip install 'ifirvos[onedl]', in a checkout pip install -e '.[onedl]', installs what is needed (docs/install.md)"
)

HEADLESS = (
    'pip uninstall -y opencv-python, then pip install --no-deps --force-reinstall opencv-python-headless==4.12.0.88, '
    'which needs no libraries of a desktop (docs/install.md)'
)

# Warnings about code of others that a user can do nothing about: how the message begins, and whose it is.
WARNINGS_OF_OTHERS = {
    'torch.meshgrid: in an upcoming release': "mmdet's deformable encoder calls it without indexing; torch 2 keeps it",
    'faster_coco_eval is not installed': 'for a metric of mmdet that nothing here uses',
    '`broadcast_buffers` is deprecated': "mmengine's wrapper for distributed training passes it on to torch's",
    'torch.utils.checkpoint: the use_reentrant parameter': "mmdet's ResNet leaves it at torch's default",
    'pkg_resources is deprecated as an API': 'mmengine of the upstream line asks it what is installed',
}
# The first mmengine that finds packages installed in place (pip install -e), whose metadata lie elsewhere.
FINDS_EDITABLE_PACKAGES = '0.10.12'


class MissingOperators(types.ModuleType):
    """Stand-in for ``mmcv._ext``: every operator can be looked up, and raises when it is called."""

    def __init__(self) -> None:
        super().__init__('mmcv._ext', 'Stand-in for the compiled operators, which this mmcv lacks.')
        # A spec without a loader is how mmcv.utils.check_ops_exist() learns that there are none.
        self.__spec__ = importlib.machinery.ModuleSpec('mmcv._ext', loader=None)

    def __getattr__(self, name: str):
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*args, **kwargs):
            raise RuntimeError(
                f'mmcv was installed without compiled operators, and {name} is one of them: '
                'run tools/install_mmcv_ops.sh to build them for the torch and CUDA that are present.'
            )

        return missing


def install() -> bool:
    """Make mmcv and mmdet importable and MSDeformAttn runnable on every device.

    Returns:
        Whether mmcv has compiled operators. If so nothing is replaced. If not, ``mmcv._ext`` is the stand-in and
        multi-scale deformable attention runs without mmcv's kernel.

    Raises:
        ImportError: mmengine, mmcv or mmdet is missing or too old, or mmcv's operators do not fit the torch present.
    """
    for beginning in WARNINGS_OF_OTHERS:
        warnings.filterwarnings('ignore', message=re.escape(beginning))
    with _without_what_is_seldom_used():
        return _install()


def _install() -> bool:
    check_versions()
    _find_editable_packages()
    _skip_metafiles_of_base_configs()
    compiled = _has_compiled_operators()
    if not compiled:
        sys.modules.setdefault('mmcv._ext', MissingOperators())
        from mmcv.ops import multi_scale_deform_attn

        # The dispatch inside MultiScaleDeformableAttention asks these flags which devices have a kernel.
        for name in vars(multi_scale_deform_attn):
            if re.fullmatch(r'IS_\w+_AVAILABLE', name):
                setattr(multi_scale_deform_attn, name, False)
    _import_mmdet_quietly()
    return compiled


def check_versions() -> None:
    """Raise an ImportError of one sentence when mmengine, mmcv or mmdet is missing or too old."""
    for name, minimum in MINIMUM_VERSIONS.items():
        try:
            found = importlib.import_module(name).__version__
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            raise ImportError(
                f'ifirvos needs {name} >= {minimum}, which is missing: {REMEDY}.', name='ifirvos'
            ) from None
        except ImportError as error:
            if 'libGL' not in str(error) and 'libgthread' not in str(error):
                raise
            raise ImportError(f'OpenCV does not load ({error}): {HEADLESS}.', name='ifirvos') from error
        if _release(found) < _release(minimum):
            raise ImportError(f'ifirvos needs {name} >= {minimum}, but {found} is installed: {REMEDY}.', name='ifirvos')


def _release_of(package: str) -> tuple[int, ...]:
    """Return the release of an installed package; () where it is missing."""
    try:
        return _release(metadata.version(package))
    except metadata.PackageNotFoundError:
        return ()


def _release(version: str) -> tuple[int, ...]:
    """``'2.3.6rc1'`` -> ``(2, 3, 6)``."""
    return tuple(int(number) for number in re.match(r'\d+(?:\.\d+)*', version)[0].split('.'))


def installed_path(package: str) -> str:
    """Return the folder of an installed package, which ``pip install -e`` may have left in its checkout.

    Args:
        package: Its name for pip or for ``import``.

    Raises:
        PackageNotFoundError: There is none.
    """
    try:
        module = (metadata.distribution(package).read_text('top_level.txt') or package).split()[0]
    except metadata.PackageNotFoundError:
        module = package
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise metadata.PackageNotFoundError(package)
    return str(Path(spec.origin).parent)


def _find_editable_packages() -> None:
    """Let ``ifirvos::…`` in configs work in a checkout: an older mmengine looks for ``.mim`` beside the metadata."""
    import mmengine.config

    if _release(mmengine.__version__) < _release(FINDS_EDITABLE_PACKAGES):
        for name in ('mmengine.utils.package_utils', 'mmengine.utils', 'mmengine.config.config', 'mmengine.hub.hub'):
            if name in sys.modules:  # one that is imported later takes it from mmengine.utils
                sys.modules[name].get_installed_path = installed_path


def _skip_metafiles_of_base_configs() -> None:
    """Let mmengine find ``mmdet::_base_/…`` without reading a hundred metafiles first, none of which names it."""
    from mmengine.config import config

    find = getattr(config, '_get_external_cfg_path', None)
    if find is None or find.__name__ == 'find_others':
        return

    def find_others(package_path: str, cfg_file: str) -> str:
        if cfg_file.startswith('_base_/'):
            raise ValueError('a base config has no metafile')  # mmengine then looks for the file itself
        return find(package_path, cfg_file)

    config._get_external_cfg_path = find_others


def _has_compiled_operators() -> bool:
    try:
        module = importlib.import_module('mmcv._ext')
    except ModuleNotFoundError as error:
        if error.name != 'mmcv._ext':
            raise
        return False
    except ImportError as error:
        raise ImportError(
            f"mmcv's compiled operators do not load ({error}): they were built for another torch or CUDA, "
            'so run tools/install_mmcv_ops.sh to build them again.',
            name='ifirvos',
        ) from error
    return not isinstance(module, MissingOperators)


def _import_mmdet_quietly() -> None:
    """Import mmdet's data sets without the lines they print about OneDL's own format, which nothing here uses."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for name in ('mmdet.datasets', 'mmdet.models', 'mmdet.visualization'):
            importlib.import_module(name)
    sys.stdout.writelines(line for line in printed.getvalue().splitlines(keepends=True) if 'import OneDL' not in line)


@contextlib.contextmanager
def _without_what_is_seldom_used() -> Iterator[None]:
    """Import what few models of mmdet use, or draw curves with, or are sharded with, when it is used."""
    packages = ['imgaug', 'imagecorruptions', 'matplotlib', 'scipy', 'shapely', 'sklearn']
    # More than a second, of which mmengine derives a wrapper and an optimiser.
    packages += ['torch.distributed.fsdp', 'torch.distributed.optim']
    # Of transformers 4 mmdet derives classes; of 5 it cannot, since a function that it asks for first is gone.
    if 'transformers' not in sys.modules and _release_of('transformers') >= (5,):
        packages.append('transformers')
    with deferred(*packages):
        if 'transformers' in packages:
            sys.modules['transformers.modeling_utils'] = None  # raises ImportError
        yield
