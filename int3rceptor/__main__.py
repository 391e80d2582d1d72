"""`python -m int3rceptor`."""

import sys

from int3rceptor.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
