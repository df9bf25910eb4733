#!/usr/bin/env bash
# Makes or updates the environment of `make test-web`: Gradio, Playwright and nbclient on top of an environment that
# tools/setup_env.sh has made, which stays as it is. Does nothing when it is up to date.
#
#   tools/setup_web_env.sh .venv .venv-web
set -euo pipefail
cd "$(dirname "$0")/.."

usage='usage: tools/setup_web_env.sh BASE FOLDER'
base=${1:?$usage}
venv=${2:?$usage}
pins=requirements/constraints-web.txt
stamp=$venv/.stamp

[ -x "$base/bin/python" ] || { echo "set-up: $base is not there: make env" >&2; exit 1; }
wanted="$(cat "$pins" tools/setup_web_env.sh "$base/.stamp" 2>/dev/null | sha256sum | cut -d' ' -f1) $PWD"
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
rm -f "$stamp"
echo "set-up: installing the packages of $pins"
"$base/bin/python" -m venv --clear "$venv"
# Packages of the base are found after its own ones: the base's Pillow is newer than Gradio takes.
packages() { "$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
echo "import site; site.addsitedir('$(packages "$base")')" >"$(packages "$venv")/base.pth"
"$venv/bin/python" -m pip install -q --no-compile --no-deps --disable-pip-version-check --progress-bar off -r "$pins"
"$venv/bin/python" -c 'import gradio, ifirvos, nbclient, playwright'
command -v chromium chromium-browser google-chrome >/dev/null ||
  echo "set-up: no Chromium here, so the page is not tested in a browser: install it (Debian, Ubuntu: apt install chromium)"
echo "$wanted" >"$stamp"
echo "set-up: $venv is ready"
