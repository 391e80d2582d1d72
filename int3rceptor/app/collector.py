"""How seldom Python's garbage collector looks, in a process that serves."""

import gc

COLLECT_AFTER = 20_000
"""New objects before the collector looks at them, in place of 700: hundreds of
exchanges, or of a journal's flows, are under way at once, and looking at them again and
again took 4 to 8 % of an HTTP/2 request, and 5 % of a flow in the hub."""


def collect_seldom() -> None:
    """What was made so far lives as long as the process, and is never looked at again;
    what comes is looked at after COLLECT_AFTER."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
