"""``python -m ifirvos_cli``: the command ``ifirvos``, where scripts of packages are not on the path."""

import sys

from . import main

if __name__ == '__main__':
    sys.exit(main())
