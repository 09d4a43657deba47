"""Entry point of `python -m pdsearch`, the same as the command `pdsearch`."""

import sys

from pdsearch.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
