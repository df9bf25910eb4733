"""Prints the licences of the packages that ifirvos needs at run time, as the table of docs/licences.md.

    python tools/list_licences.py [--extra onedl]

Reads the metadata of the installed dependencies, direct and indirect.
"""

import argparse
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

SETUP = Path(__file__).resolve().parents[1] / 'setup.cfg'
# Said beside the licence of the package: what its wheel brings along.
NOTES = {
    'av': 'the wheel bundles FFmpeg with GPL codecs (x264, x265)',
    'opencv-python-headless': 'the wheel bundles FFmpeg under LGPL',
    'torch': 'CUDA builds bring NVIDIA libraries under their own terms',
}


def asked_for(extra: str) -> list[str]:
    """Return the names of the packages that setup.cfg asks for."""
    import configparser

    config = configparser.ConfigParser()
    config.read(SETUP, encoding='utf-8')
    lines = config['options']['install_requires'].splitlines() + config['options.extras_require'][extra].splitlines()
    return [name for line in lines if (name := requirement_name(line))]


def requirement_name(line: str) -> str:
    """Return the name at the beginning of a requirement; '' for a comment."""
    found = re.match(r'\s*([A-Za-z0-9][A-Za-z0-9._-]*)', line)
    return found.group(1).lower().replace('_', '-') if found else ''


def closure(names: Sequence[str]) -> dict[str, metadata.Distribution]:
    """Return the installed packages of these names and all that they need, without extras."""
    found: dict[str, metadata.Distribution] = {}
    left = list(names)
    while left:
        name = left.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        left += [requirement_name(line) for line in found[name].requires or () if 'extra ==' not in line]
    return dict(sorted(found.items()))


def licence_of(package: metadata.Distribution) -> str:
    """Return the licence in one short line."""
    meta = package.metadata
    expression = meta.get('License-Expression')
    classifiers = [
        line.rpartition(' :: ')[2] for line in meta.get_all('Classifier') or () if line.startswith('License ::')
    ]
    first = (meta.get('License') or '').strip().splitlines()
    if expression:
        return expression
    named = [name for name in classifiers if name != 'OSI Approved']
    if named:
        return ', '.join(named)
    if first and len(first[0]) < 40 and re.fullmatch(r'[\w .,()/-]+', first[0]) and 'opyright' not in first[0]:
        return first[0]
    return 'see the package'


def table(extra: str) -> str:
    """Return the table in Markdown."""
    lines = ['| package | version | licence | |', '| --- | --- | --- | --- |']
    for name, package in closure(asked_for(extra)).items():
        lines.append(f'| {name} | {package.version} | {licence_of(package)} | {NOTES.get(name, "")} |')
    return '\n'.join(lines) + '\n'


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--extra', default='onedl', help='extra of setup.cfg; default: onedl')
    print(table(parser.parse_args(argv).extra), end='')


if __name__ == '__main__':
    main()
