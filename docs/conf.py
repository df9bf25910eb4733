"""Sphinx: MyST pages as in MMDetection, and an API reference read from the sources, so that torch need not be there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = 'ifirvos'
author = 'the ifirvos authors'
html_show_copyright = False
release = re.search(r"__version__ = '(.*)'", (ROOT / 'ifirvos/version.py').read_text()).group(1)

extensions = [
    'myst_parser',
    'autoapi.extension',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
]
exclude_patterns = ['_build', '_templates', 'table4_rows']
templates_path = ['_templates']

html_theme = 'furo'
html_title = f'ifirvos {release}'
html_static_path = ['_static']
html_css_files = ['site.css']

myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 4
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


DOCS = Path(__file__).parent
# Files outside docs/ -> the page that includes them.
PAGES = {
    'weights/README.md': 'weights.md',
    'CHANGELOG.md': 'changelog.md',
    'CONTRIBUTING.md': 'contributing.md',
    'configs/ifirvos/README.md': 'zoo.md',
    'configs/referformer/README.md': 'zoo.md',
}
INCLUDE = re.compile(r'^```\{include\} (\S+)\n(.*?)^```$', re.M | re.S)
LINK = re.compile(r'(!?)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)')


def with_links_inside(text: str, folder: Path) -> str:
    """Let the links of a page point into the site; of a file outside it, keep the text alone.

    A link that is labelled with a file's name gets the title of that page as its label.
    """

    def replace(link: re.Match) -> str:
        image, label, target, anchor = link.groups(default='')
        path = (folder / target).resolve()
        inside = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ''
        label = '' if label.endswith('.md') else label
        if inside in PAGES:
            return f'[{label}]({PAGES[inside]})'
        if path.is_relative_to(DOCS) and path.exists():
            return f'{image}[{label}]({path.relative_to(DOCS).as_posix()}{anchor})'
        return link[2] if path.exists() else link.group()  # Sphinx warns of missing files

    return LINK.sub(replace, text)


MARKED = re.compile(r'^<!-- (needs|run by) (.+) -->\n```(\w*)\n', re.M)


def with_captions(text: str) -> str:
    """Show the marks of the blocks of commands: what a block needs, or which test runs it."""

    def caption(mark: re.Match) -> str:
        return f'```{{code-block}} {mark[3] or "text"}\n:caption: {mark[1].capitalize()} {mark[2]}.\n'

    return MARKED.sub(caption, text)


def prepare(app, docname: str, source: list[str]) -> None:
    """Include the files outside docs/."""

    def include(block: re.Match) -> str:
        path = (DOCS / block[1]).resolve()
        text = with_links_inside(path.read_text(encoding='utf-8'), path.parent)
        return re.sub(r'^#', '##', text, flags=re.M) if ':heading-offset: 1' in block[2] else text

    if docname.startswith('api/'):
        return
    source[0] = with_captions(INCLUDE.sub(include, with_links_inside(source[0], DOCS)))


def setup(app) -> None:
    """Register :func:`prepare`."""
    app.connect('source-read', prepare)
