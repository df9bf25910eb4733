"""``python -m ifirvos.env``: checks the installation and says what to do.

Exits with 1 if something is broken, and with 0 if everything works, even if slowly.
"""

import sys
from dataclasses import dataclass, field
from importlib import metadata

import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmengine.hub import get_config
from mmengine.utils import digit_version
from mmengine.utils.dl_utils import collect_env

from .compat import install
from .inference.model_index import ROOT, list_models, shipped
from .models.deformable_sampling import has_compiled
from .models.winograd import pays_off
from .version import __version__

LINES = {
    'onedl': ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection'),
    'upstream': ('mmengine', 'mmcv', 'mmdet'),
}
LIBRARIES = ('numpy', 'scipy', 'transformers', 'av', 'pycocotools', 'opencv-python-headless', 'opencv-python')
OPTIONAL_LIBRARIES = ('torchvision', 'h5py', 'gradio')


@dataclass
class Environment:
    """What was found: facts by name, advice where something could be better, problems where something is broken."""

    facts: dict[str, str] = field(default_factory=dict)
    advice: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        lines = [f'{name:{width}}  {value}' for name, value in self.facts.items()]
        lines += [f'advice: {text}' for text in self.advice]
        lines += [f'PROBLEM: {text}' for text in self.problems]
        return '\n'.join([*lines, *([] if self.problems else ['Everything that ifirvos needs works.'])])


def collect() -> Environment:
    """Check the installed packages, and run deformable attention once."""
    found = Environment(facts={'ifirvos': __version__})
    _collect_machine(found)
    _collect_openmmlab(found)
    _collect_libraries(found)
    _collect_deformable_attention(found)
    _collect_shipped_files(found)
    return found


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution (the name pip knows), or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _collect_machine(found: Environment) -> None:
    # mmengine's report; its longest entry is how PyTorch was compiled, its seed is no property of the machine.
    skipped = ('PyTorch compiling details', 'numpy_random_seed')
    found.facts.update({name: str(value) for name, value in collect_env().items() if name not in skipped})


def _collect_openmmlab(found: Environment) -> None:
    present = {}
    for line, distributions in LINES.items():
        versions = {name: installed_version(name) for name in distributions}
        if any(versions.values()):
            present[line] = ', '.join(f'{name} {version}' for name, version in versions.items() if version)
    found.facts['OpenMMLab line'] = '; '.join(f'{line} ({versions})' for line, versions in present.items()) or 'unknown'
    if len(present) > 1:
        found.problems.append(
            'Both OpenMMLab lines are installed and overwrite each other: '
            'pip uninstall both, then install one (docs/install.md).'
        )


def _collect_libraries(found: Environment) -> None:
    versions = {name: installed_version(name) for name in LIBRARIES + OPTIONAL_LIBRARIES}
    found.facts.update({name: version or 'not installed' for name, version in versions.items()})
    missing = [name for name in LIBRARIES if not versions[name] and not name.startswith('opencv')]
    if missing:
        found.problems.append(f'Missing: {", ".join(missing)}. Run pip install {" ".join(missing)}.')
    if versions['transformers'] and not (4, 45) <= digit_version(versions['transformers'])[:2] < (6, 0):
        found.advice.append('transformers has to be 4.45, as older tokenizers cannot read the shipped one, to 5.x.')
    if versions['opencv-python'] and versions['opencv-python-headless']:
        found.advice.append(
            'opencv-python lies beside opencv-python-headless, shares its files and needs libGL: pip uninstall -y '
            'opencv-python, then pip install --no-deps --force-reinstall opencv-python-headless.'
        )


def _collect_deformable_attention(found: Environment) -> None:
    compiled = install()
    on_cuda = torch.cuda.is_available()
    found.facts['mmcv operators'] = 'compiled' if compiled else 'not compiled'
    gradient = 'gradient compiled by numba' if has_compiled() else 'pip install numba makes training faster'
    found.facts['deformable attention'] = "mmcv's CUDA kernel" if compiled and on_cuda else f'plain PyTorch; {gradient}'
    found.facts['3x3 convolutions'] = 'NNPACK' if pays_off() else "oneDNN's"
    if on_cuda and not compiled:
        found.advice.append('This GPU would train and predict faster with the kernel: run tools/install_mmcv_ops.sh.')
    try:
        _run_deformable_attention('cuda' if on_cuda else 'cpu')
    except (RuntimeError, ImportError) as error:
        found.problems.append(f'MSDeformAttn does not run ({error}): run tools/install_mmcv_ops.sh.')


def _run_deformable_attention(device: str) -> None:
    attention = MultiScaleDeformableAttention(32, num_heads=8, num_levels=1, batch_first=True).to(device)
    feature = torch.rand(1, 12, 32, device=device)
    attention(
        feature,
        value=feature,
        reference_points=torch.rand(1, 12, 1, 2, device=device),
        spatial_shapes=torch.tensor([[3, 4]], device=device),
        level_start_index=torch.zeros(1, dtype=torch.long, device=device),
    )


def _collect_shipped_files(found: Environment) -> None:
    """Look for config and weights of every included model, as ``RVOSInferencer()`` and ``ifirvos::`` do."""
    try:
        for model in list_models().values():
            shipped(model['Config'])
            if model['Weights'] and '://' not in model['Weights']:
                shipped(model['Weights'])
        get_config('ifirvos::ifirvos/r18_synth.py')
    except (FileNotFoundError, KeyError, ValueError) as error:
        found.problems.append(f'Files that ship with ifirvos cannot be used: {error}')
    found.facts['shipped files'] = str(ROOT)


def main() -> int:
    found = collect()
    print(found)
    return 1 if found.problems else 0


if __name__ == '__main__':
    sys.exit(main())
