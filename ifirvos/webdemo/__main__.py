"""``python -m ifirvos.webdemo``: the same as ``ifirvos web``."""

import sys

from ifirvos_cli.web import main

if __name__ == '__main__':
    sys.exit(main(prog='python -m ifirvos.webdemo'))
