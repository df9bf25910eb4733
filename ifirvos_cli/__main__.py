"""``python -m ifirvos_cli``: the command ``ifirvos``, for when it is not on the path."""

import sys

from . import main

if __name__ == '__main__':
    sys.exit(main())
