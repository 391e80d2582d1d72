"""The hostile guests: what each attempts, and what the host must do.

Those that are worth reading alone are in tests/guests/hostile; others are made here.
"""

from tests.support.hostile.calls import answers, floods, lies, quotas
from tests.support.hostile.engine import computing, memory, starting, tables
from tests.support.hostile.reaching import programs, reaching
from tests.support.hostile.rows import Hostile
from tests.support.hostile.shapes import proposals, shapes


def hostile() -> list[Hostile]:
    """All of them."""
    groups = (
        *(computing(), memory(), tables(), starting(), answers()),
        *(floods(), quotas(), lies(), shapes(), proposals()),
        *(programs(), reaching()),
    )
    return [one for group in groups for one in group]
