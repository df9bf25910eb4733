#!/usr/bin/env bash
# Makes or updates the virtual environment of one OpenMMLab line. Does nothing when it is up to date.
#
#   tools/setup_env.sh onedl .venv
#   tools/setup_env.sh openmmlab .venv-openmmlab
#
# PYTHON  the interpreter to make it with (python3)
# TORCH   what to give `pip install` for torch, for example 'torch==2.13.0 --index-url https://…/whl/cu130';
#         by default the pinned version, as a CPU build where there is no NVIDIA driver. An environment keeps its choice.
set -euo pipefail
cd "$(dirname "$0")/.."

usage='usage: tools/setup_env.sh onedl|openmmlab FOLDER'
line=${1:?$usage}
venv=${2:?$usage}
case $line in
  onedl) pins=requirements/constraints.txt ;;
  openmmlab) pins=requirements/constraints-openmmlab.txt ;;
  *) echo "$usage" >&2; exit 2 ;;
esac
python=${PYTHON:-python3}
stamp=$venv/.stamp
chosen_torch=$venv/.torch

fail() { echo "set-up: $*" >&2; exit 1; }
say() { echo "set-up: $*"; }

# What the environment was made from. The stamp is written last, so an interrupted set-up starts again.
fingerprint=$(cat "$pins" setup.cfg pyproject.toml tools/setup_env.sh | sha256sum | cut -d' ' -f1)
torch=${TORCH:-$(cat "$chosen_torch" 2>/dev/null || true)}
wanted="$fingerprint $PWD $torch"

version_of() { "$1" -c 'import sys; print(sys.version_info[:2])' 2>/dev/null || true; }
is_ready() {
  [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' &&
    { [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of "$venv/bin/python")" ]; }
}
if is_ready; then exit 0; fi
# One at a time; the file also tells an environment of ours that was begun from a foreign one.
lock=$venv.lock
if [ -e "$venv" ] && [ ! -e "$lock" ] && [ ! -e "$venv/setup.log" ] && [ ! -e "$stamp" ]; then
  fail "$venv was not made by make: move it away, or install by hand (docs/install.md)"
fi
exec 9>"$lock"
if command -v flock >/dev/null && ! flock -n 9; then
  say "waiting for another set-up of $venv"
  flock 9 || say 'the file system has no locks: run one make at a time'
fi
if is_ready; then exit 0; fi

command -v "$python" >/dev/null || fail "no $python here: install Python 3.10 or newer, or name one: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' ||
  fail "the pinned packages need Python 3.10 to 3.13 and $python is $("$python" -V 2>&1): name another with make PYTHON=…, or install by hand (docs/install.md)"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  fail "$python cannot make virtual environments: install its venv module (Debian, Ubuntu: apt install python3-venv)"

rm -f "$stamp"
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
  { [ -n "${PYTHON:-}" ] && [ "$(version_of "$python")" != "$(version_of "$venv/bin/python")" ]; }; then
  say "making $venv with $("$python" -V)"
  "$python" -m venv --clear "$venv"
fi
log=$venv/setup.log
rm -f "$log"
# Python compiles what it imports; compiling all of every package takes longer than downloading it.
install() { "$venv/bin/python" -m pip install -q --no-compile --disable-pip-version-check --log "$log" "$@"; }
quietly() { "$@" --progress-bar off 2>/dev/null; }
exec 3>&2  # what `quietly` hides must not hide the reason
stopped() {
  [ "$1" = 0 ] || { grep -E 'ERROR: |error: ' "$log" | tail -n 5 || true; echo "set-up: stopped; $log has the whole story"; } >&3
}
trap 'stopped $?' EXIT

# The list is complete, so nothing is resolved: no range can pull another torch, and opencv-python, which mmdet asks for
# beside the headless build and which needs libGL, never arrives. torch comes last: without it mmcv builds in seconds,
# because it leaves out the operators that would need a compiler.
say "installing the packages of $pins"
grep -E '^(setuptools|wheel|packaging)==' "$pins" >"$venv/.build-pins"
grep -vE '^torch==' "$pins" >"$venv/.pins"
quietly install --no-deps -r "$venv/.build-pins"
quietly install --no-deps --no-build-isolation -r "$venv/.pins"

pinned_torch=$(grep -E '^torch==' "$pins")
say "installing ${torch:-$pinned_torch}"
if [ -n "${TORCH:-}" ] && [ "$TORCH" != "$(cat "$chosen_torch" 2>/dev/null || true)" ]; then
  # pip takes another build of the same version, 2.13.0+cpu, for the one that is asked for.
  "$venv/bin/python" -m pip uninstall -q -y torch 2>/dev/null || true
fi
if [ -n "$torch" ]; then
  # shellcheck disable=SC2086  # options and requirement are separate words
  install $torch
elif ! command -v nvidia-smi >/dev/null; then
  # Where the extra index cannot be reached pip goes on with the others.
  install --retries 1 --timeout 30 --extra-index-url https://download.pytorch.org/whl/cpu "$pinned_torch"
else
  install "$pinned_torch"
fi
quietly install --no-deps --no-build-isolation -e .

# An environment made by hand may hold both builds of OpenCV: they share their files, so one cannot simply go.
if [ -n "$("$venv/bin/python" -m pip list --format=freeze 2>/dev/null | grep -E '^opencv-python==')" ]; then
  "$venv/bin/python" -m pip uninstall -q -y opencv-python
  quietly install --no-deps --force-reinstall "$(grep -E '^opencv-python-headless==' "$pins")"
fi

# Where the environment forbids bytecode, as container images do, every command would compile anew what it imports.
env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" - <<'EOF'
import cv2, mmcv, mmengine.runner, torch, transformers  # these first: they say most plainly what is missing
import ifirvos.inference.inferencer, ifirvos.inference.writers, ifirvos.synth, ifirvos_cli.infer  # noqa
from transformers import AutoTokenizer, RobertaModel, RobertaTokenizerFast  # noqa
EOF
echo "$torch" >"$chosen_torch"
echo "$wanted" >"$stamp"
say "$venv is ready"
