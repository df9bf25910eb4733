"""Sphinx: MyST pages as in MMDetection, and an API reference read from the sources, so that torch need not be there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = 'ifirvos'
author = 'the ifirvos authors'
release = re.search(r"__version__ = '(.*)'", (ROOT / 'ifirvos/version.py').read_text()).group(1)

extensions = [
    'myst_parser',
    'autoapi.extension',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
]
exclude_patterns = ['_build', '_templates']
templates_path = ['_templates']

html_theme = 'furo'
html_title = f'ifirvos {release}'
html_static_path = []

myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 4
# Pages that this version does not have yet are left out of the contents (their names stand in index.md with a star).
highlight_language = 'none'
suppress_warnings = ['autoapi.python_import_resolution']

autoapi_dirs = ['../ifirvos']
autoapi_root = 'api'
autoapi_add_toctree_entry = False
autoapi_options = ['members', 'undoc-members', 'show-inheritance']
autoapi_python_class_content = 'class'
autoapi_member_order = 'bysource'
napoleon_google_docstring = True
napoleon_use_ivar = True
copybutton_prompt_text = '$ '


def keep_pages_that_are_there(app, docname: str, source: list[str]) -> None:
    """Leave out of the contents what has a star and is not there."""
    if docname == 'index':
        there = {path.stem for path in Path(app.srcdir).glob('*.md')}
        lines = [line for line in source[0].splitlines() if not line.endswith('*') or line[:-1] in there]
        source[0] = '\n'.join(line.removesuffix('*') for line in lines)


def setup(app) -> None:
    """Connect what is above."""
    app.connect('source-read', keep_pages_that_are_there)
