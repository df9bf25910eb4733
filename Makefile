# `make help` lists the targets. PYTHON=… and TORCH=… choose the interpreter and the torch build of a new environment.
VENV := .venv
PY := $(VENV)/bin/python
UPSTREAM := .venv-openmmlab
WEB := .venv-web
DOCS := .venv-docs
export PYTHON TORCH
# Tests are many small computations: more threads only get into each other's way, a process a core does not. A file stays in
# one process, for its fixtures; files come in their order, not those with most tests first: the long ones have few.
# WORKERS=0 runs all in one.
WORKERS := auto
PYTEST := -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help env demo docs test test-slow test-web test-openmmlab lint format check-env clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

env:  ## make or update .venv
	@tools/setup_env.sh onedl $(VENV)

demo: export VIDEO := $(VIDEO)
demo: export TEXT := $(TEXT)
demo: export MODEL := $(MODEL)
demo: env  ## segment a rendered clip, or your own: make demo VIDEO=clip.mp4 TEXT="the red car" MODEL=NAME
	@$(PY) tools/demo.py $${VIDEO:+--video "$$VIDEO"} $${TEXT:+--text "$$TEXT"} $${MODEL:+--model "$$MODEL"}

test: env  ## the fast tests
	@OMP_NUM_THREADS=1 $(PY) $(PYTEST)

test-slow: env  ## the tests that take minutes
	@OMP_NUM_THREADS=1 $(PY) $(PYTEST) -m slow

test-web: env  ## the web page in a headless Chromium, and the notebook
	@tools/setup_web_env.sh $(VENV) $(WEB)
	@OMP_NUM_THREADS=1 $(WEB)/bin/python -m pytest -q -rs tests/test_webdemo tests/test_notebook.py

test-openmmlab:  ## the fast tests on upstream mmengine, mmcv and mmdet, in an environment of their own
	@tools/setup_env.sh openmmlab $(UPSTREAM)
	@OMP_NUM_THREADS=1 $(UPSTREAM)/bin/python $(PYTEST)

lint: env  ## ruff's checks and formatting
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: env  ## put the files into ruff's format
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

docs:  ## build the documentation site, docs/_build/html; any warning is an error
	@cmp -s requirements/docs.txt $(DOCS)/.stamp || { \
	    echo "set-up: installing the packages of requirements/docs.txt"; \
	    $(or $(PYTHON),python3) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "the documentation needs Python 3.11")' && \
	    $(or $(PYTHON),python3) -m venv --clear $(DOCS) && \
	    $(DOCS)/bin/python -m pip install -q --no-deps --disable-pip-version-check -r requirements/docs.txt && \
	    cp requirements/docs.txt $(DOCS)/.stamp; }
	@$(DOCS)/bin/python -m sphinx -q -W --keep-going -j auto -b html docs docs/_build/html
	@echo docs/_build/html/index.html

check-env: env  ## check the installation
	@$(PY) -m ifirvos.env

clean:  ## remove the environments and everything generated; downloaded data and work_dirs stay
	rm -rf $(VENV) $(UPSTREAM) $(WEB) $(DOCS) docs/_build .cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info demo_output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
