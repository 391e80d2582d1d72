"""`int3rceptor` that waits for signs of life for SILENT_S only.

`python -m tests.support.impatient` takes the arguments of `python -m int3rceptor`.
"""

import sys

from int3rceptor.app import watchdog
from int3rceptor.cli.main import main

SILENT_S = 6.0
"""Six signs: a machine that runs much else must not lose as many in a row."""

if __name__ == "__main__":
    watchdog.SILENT_S = SILENT_S
    watchdog.DOUBTFUL_S = SILENT_S / 2
    sys.exit(main())
