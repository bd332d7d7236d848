"""`python -m xrfree` is the command `xrfree`."""

import sys

from xrfree.cli import main

if __name__ == "__main__":
    sys.exit(main())
