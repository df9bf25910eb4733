"""Each path of compat in an interpreter of its own: what it changes stays changed for the life of a process."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import mmengine.hub.hub
import mmengine.utils
import pytest
import torch
from mmengine.config import Config

import ifirvos
from ifirvos import compat

ROOT = Path(__file__).parents[1]

# Runs MSDeformAttn on a tensor that says it is on a GPU, which is all that mmcv's dispatch looks at.
DEFORMABLE_ATTENTION_ON_CUDA = """
import torch
from mmcv.ops import multi_scale_deform_attn

class OnCuda(torch.Tensor):
    is_cuda = True

attention = multi_scale_deform_attn.MultiScaleDeformableAttention(16, num_heads=2, num_levels=1, batch_first=True)
x = torch.rand(1, 12, 16).as_subclass(OnCuda)
def attend():
    return attention(x, value=x, reference_points=torch.rand(1, 12, 1, 2), spatial_shapes=torch.tensor([[3, 4]]),
                     level_start_index=torch.tensor([0]))
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-c', code],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def fake_package(folder: Path, name: str, version: str) -> None:
    package = folder / name
    package.mkdir()
    (package / '__init__.py').write_text(f'__version__ = {version!r}\n')


# A stand-in that every mmcv module can take its operators from, on the path of the real mmcv.
FAKE_EXTENSION = """
import pathlib, sys, tempfile
import mmcv, mmcv.utils
folder = pathlib.Path(tempfile.mkdtemp())
(folder / '_ext.py').write_text({source!r})
sys.modules.pop('mmcv._ext', None)
mmcv.__path__.insert(0, str(folder))
mmcv.utils.IS_CUDA_AVAILABLE = True  # as on a machine with a GPU
from ifirvos import compat
"""


def test_compiled_operators_are_left_alone_and_used():
    source = """
def __getattr__(name):
    if name.startswith('__'):
        raise AttributeError(name)
    def operator(*args, **kwargs):
        raise RuntimeError('compiled ' + name)
    return operator
"""
    done = run(
        FAKE_EXTENSION.format(source=source)
        + DEFORMABLE_ATTENTION_ON_CUDA
        + """
assert compat.install() is True
assert sys.modules['mmcv._ext'].__file__ == str(folder / '_ext.py')
assert multi_scale_deform_attn.IS_CUDA_AVAILABLE is True
try:
    attend()
except RuntimeError as error:
    assert str(error) == 'compiled ms_deform_attn_forward', error
else:
    raise AssertionError('the kernel was not called')
"""
    )
    assert done.returncode == 0, done.stderr


def test_without_compiled_operators_attention_runs_in_pytorch_on_every_device():
    code = """
import sys
sys.modules.pop('mmcv._ext', None)
import mmcv, mmcv.utils
mmcv.utils.IS_CUDA_AVAILABLE = True  # as on a machine with a GPU
class NoExtension:
    def find_spec(self, name, path=None, target=None):
        if name == 'mmcv._ext':
            raise ModuleNotFoundError("No module named 'mmcv._ext'", name=name)
sys.meta_path.insert(0, NoExtension())
from ifirvos import compat
assert compat.install() is False
assert compat.install() is False  # a second time changes nothing
from mmcv.utils.ext_loader import check_ops_exist
import importlib.util
assert importlib.util.find_spec('mmcv._ext').loader is None
"""
    done = run(code + DEFORMABLE_ATTENTION_ON_CUDA + 'assert attend().shape == (1, 12, 16)')
    assert done.returncode == 0, done.stderr


def test_stand_in_operator_raises_by_name_and_names_the_remedy():
    with pytest.raises(RuntimeError, match=r'roi_align_forward.*tools/install_mmcv_ops\.sh'):
        compat.MissingOperators().roi_align_forward(torch.zeros(1))


def test_stand_in_is_no_sink_for_special_attributes():
    assert not hasattr(compat.MissingOperators(), '__path__')


def test_operators_that_do_not_load_are_reported():
    done = run(FAKE_EXTENSION.format(source='raise ImportError("undefined symbol: at_tensor")') + 'compat.install()')
    assert 'do not load (undefined symbol: at_tensor)' in done.stderr
    assert 'tools/install_mmcv_ops.sh' in done.stderr


@pytest.mark.parametrize('name', ['mmengine', 'mmcv', 'mmdet'])
def test_too_old_package_is_one_sentence(tmp_path, name):
    for package, version in compat.MINIMUM_VERSIONS.items():
        fake_package(tmp_path, package, '0.10.6' if package == name else version)
    done = run('import ifirvos.env', PYTHONPATH=f'{tmp_path}{os.pathsep}{ROOT}')
    assert done.returncode == 1
    last_line = done.stderr.strip().splitlines()[-1]
    minimum = compat.MINIMUM_VERSIONS[name]
    assert last_line.startswith(f'ImportError: ifirvos needs {name} >= {minimum}, but 0.10.6 is installed: pip install')


@pytest.mark.parametrize('name', ['mmengine', 'mmcv', 'mmdet'])
def test_missing_package_is_one_sentence(name):
    code = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Missing())
import ifirvos
"""
    done = run(code)
    last_line = done.stderr.strip().splitlines()[-1]
    assert last_line.startswith(f'ImportError: ifirvos needs {name} >= ')
    assert 'which is missing: pip install' in last_line
    command = run(code.replace('import ifirvos', "import ifirvos_cli; sys.exit(ifirvos_cli.main(['env']))"))
    assert command.returncode == 2
    assert command.stderr.startswith(f'error: ifirvos needs {name} >= ')
    assert command.stderr.count('\n') == 1


def test_an_opencv_without_its_libraries_is_one_sentence(tmp_path):
    fake_package(tmp_path, 'cv2', '4.12.0')
    said = 'libGL.so.1: cannot open shared object file: No such file or directory'
    (tmp_path / 'cv2' / '__init__.py').write_text(f'raise ImportError({said!r})')
    done = run(
        'import sys, ifirvos_cli; sys.exit(ifirvos_cli.main(["env"]))', PYTHONPATH=f'{tmp_path}{os.pathsep}{ROOT}'
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f'error: OpenCV does not load ({said}): pip uninstall -y opencv-python')
    assert done.stderr.count('\n') == 1


def test_a_package_that_is_broken_inside_keeps_its_own_error(tmp_path):
    fake_package(tmp_path, 'mmengine', '0.10.12')
    (tmp_path / 'mmengine' / '__init__.py').write_text('import no_such_dependency')
    done = run('import ifirvos', PYTHONPATH=f'{tmp_path}{os.pathsep}{ROOT}')
    assert done.stderr.strip().splitlines()[-1] == "ModuleNotFoundError: No module named 'no_such_dependency'"


@pytest.mark.parametrize(('older', 'newer'), [('0.9.12', '0.10.7'), ('2.0.1', '2.1.0'), ('3.3', '3.3.1')])
def test_versions_compare_as_numbers(older, newer):
    assert compat._release(older) < compat._release(newer)


def test_release_of_a_candidate_is_its_numbers():
    assert compat._release('2.3.6rc1+cu130') == (2, 3, 6)


def test_a_package_is_found_by_either_name_wherever_it_lies():
    assert Path(compat.installed_path('ifirvos')) == Path(ifirvos.__file__).parent
    assert Path(compat.installed_path('huggingface-hub')).name == 'huggingface_hub'
    with pytest.raises(metadata.PackageNotFoundError, match='nobody_has_it'):
        compat.installed_path('nobody_has_it')


def test_mmengine_finds_this_package():
    """On either line, also when it is installed with ``pip install -e``."""
    for module in (mmengine.utils, mmengine.config.config, mmengine.hub.hub):
        assert Path(module.get_installed_path('ifirvos'), '.mim/model-index.yml').is_file(), module


def test_what_is_seldom_used_is_not_imported():
    """Importing the package stays light, and what is left out works when it is used."""
    done = run(
        """
import importlib.util
import sys
import ifirvos
heavy = {'imgaug', 'imagecorruptions', 'matplotlib', 'numba', 'scipy.stats'}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
import transformers
if int(transformers.__version__.split('.')[0]) >= 5:
    from mmdet.models.language_models import bert
    assert bert.AutoTokenizer._real() is transformers.AutoTokenizer
import matplotlib.pyplot
assert matplotlib.pyplot.figure
from mmengine.registry import OPTIMIZERS
import torch
optimizer = OPTIMIZERS.build(dict(type='Adafactor', params=torch.nn.Linear(2, 2).parameters()))
assert type(optimizer) is transformers.Adafactor
# Of these two every training run would be warned.
torch.meshgrid(torch.arange(2), torch.arange(2))
if importlib.util.find_spec('mmdet.evaluation.metrics.faster_coco_metric'):
    import mmdet.evaluation.metrics.faster_coco_metric
"""
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_a_base_config_of_mmdet_is_found_without_its_metafiles(monkeypatch):
    def read(*args, **kwargs):
        raise AssertionError('reads a metafile')

    monkeypatch.setattr('mmengine.config.utils.load', read)
    assert Config.fromfile(ROOT / 'configs/_base_/default_runtime.py').default_hooks.timer.type == 'IterTimerHook'
    with pytest.raises(AssertionError, match='metafile'):  # what the test is about would be seen
        Config._get_cfg_path('mmdet::detr/detr_r50_8xb2-150e_coco.py', '')


def test_sharded_training_is_imported_when_it_is_used():
    code = """
import pickle, sys, torch
import ifirvos
print([name for name in ('torch.distributed.fsdp', 'torch.distributed.optim', 'torch._dynamo') if name in sys.modules])
from mmengine.model import is_model_wrapper
from mmengine.registry import MODEL_WRAPPERS, OPTIMIZERS
assert not is_model_wrapper(torch.nn.ReLU())
assert 'torch.distributed.fsdp' not in sys.modules
torch.distributed.init_process_group('gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)
layer, cpu = torch.nn.Linear(2, 3), torch.device('cpu')
model = MODEL_WRAPPERS.build(dict(type='MMFullyShardedDataParallel', module=layer, device_id=cpu))
from torch.distributed.fsdp import FullyShardedDataParallel, StateDictType
assert is_model_wrapper(model) and isinstance(model, FullyShardedDataParallel)
assert type(model) is pickle.loads(pickle.dumps(type(model)))
print(model(torch.ones(1, 2)).shape)
weights = list(model.parameters())
optimizer = OPTIMIZERS.build(dict(type='ZeroRedundancyOptimizer', params=weights, optimizer_type='SGD', lr=0.5))
from torch.distributed.optim import ZeroRedundancyOptimizer
assert isinstance(optimizer, ZeroRedundancyOptimizer)
from mmengine._strategy import fsdp
assert fsdp.StateDictType['FULL_STATE_DICT'] is StateDictType.FULL_STATE_DICT
"""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines() == ['[]', 'torch.Size([1, 3])'], done.stderr[-2000:]
