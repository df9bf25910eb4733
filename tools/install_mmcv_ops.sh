#!/usr/bin/env bash
# Builds mmcv's compiled operators, MSDeformAttn's CUDA kernel among them, for the torch and CUDA that are present:
# the mmcv that is installed, same line and version, from its source distribution. 10 minutes on 2 cores without CUDA.
#
#   tools/install_mmcv_ops.sh [--dry-run]      --dry-run only prints the commands
#
# PYTHON                the environment's interpreter (.venv/bin/python, or else python3)
# MAX_JOBS              compilers at a time (half the cores)
# TORCH_CUDA_ARCH_LIST  GPUs to build for (the ones present)
set -euo pipefail
cd "$(dirname "$0")/.."

dry_run=
case ${1:-} in
  '') ;;
  --dry-run) dry_run=1 ;;
  *) echo 'usage: tools/install_mmcv_ops.sh [--dry-run]' >&2; exit 2 ;;
esac

default=.venv/bin/python
[ -x "$default" ] || default=python3
python=${PYTHON:-$default}

fail() { echo "install_mmcv_ops: $*" >&2; exit 1; }
run() {
  printf '+'; printf ' %q' "$@"; echo
  [ -n "$dry_run" ] || "$@"
}

# Prints "distribution version cuda", for example "onedl-mmcv 2.3.6 13.0"; cuda is "none" for a CPU build of torch.
facts=$("$python" - <<'PYTHON_CODE'
import sys
from importlib import metadata

try:
    import torch
except ImportError:
    sys.exit('install_mmcv_ops: torch is missing: run make env first.')
for name in ('onedl-mmcv', 'mmcv'):
    try:
        print(name, metadata.version(name), torch.version.cuda or 'none')
        break
    except metadata.PackageNotFoundError:
        continue
else:
    sys.exit('install_mmcv_ops: neither onedl-mmcv nor mmcv is installed: run make env first.')
PYTHON_CODE
)
read -r distribution version cuda <<<"$facts"

force_cuda=0
if [ "$cuda" != none ]; then
  nvcc=${CUDA_HOME:+$CUDA_HOME/bin/}nvcc
  command -v "$nvcc" >/dev/null ||
    fail "torch was built for CUDA $cuda and $nvcc is not there: install that CUDA toolkit, or set CUDA_HOME"
  release=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
  [ "${release%%.*}" = "${cuda%%.*}" ] || fail "torch was built for CUDA $cuda and nvcc is $release: both must be the same major version"
  force_cuda=1
fi
command -v "${CXX:-c++}" >/dev/null || fail 'no C++ compiler: install one (Debian, Ubuntu: apt install g++)'

jobs=$(($(nproc) / 2))
echo "building $distribution $version for torch's CUDA: $cuda"
# mmcv 2.1.0 builds with setuptools below 81 only; its newer line wants 80.
run "$python" -m pip install 'setuptools>=80,<81' wheel packaging ninja
# --no-build-isolation: the build has to see this torch. --no-cache-dir: neither take nor leave a wheel without operators.
run env MMCV_WITH_OPS=1 FORCE_CUDA=$force_cuda "MAX_JOBS=${MAX_JOBS:-$((jobs > 0 ? jobs : 1))}" \
  "$python" -m pip install --no-build-isolation --no-binary "$distribution" --no-cache-dir --no-deps --force-reinstall \
  "$distribution==$version"

check='
import torch
from mmcv.ops import MultiScaleDeformableAttention, nms

nms(torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.ones(1), 0.5)
if torch.cuda.is_available():
    attention = MultiScaleDeformableAttention(64, num_levels=1, batch_first=True).cuda()
    x = torch.rand(1, 12, 64, device="cuda")
    attention(
        x,
        value=x,
        reference_points=torch.rand(1, 12, 1, 2, device="cuda"),
        spatial_shapes=torch.tensor([[3, 4]], device="cuda"),
        level_start_index=torch.zeros(1, dtype=torch.long, device="cuda"),
    )
    print("mmcv operators work, MSDeformAttn on CUDA among them")
else:
    print("mmcv operators work on the CPU; no CUDA device here to try the kernels on")
'
run "$python" -c "$check"
