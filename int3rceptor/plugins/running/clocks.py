"""The clocks that a plugin's calls are timed by; tests bring their own."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True, frozen=True, kw_only=True)
class Clocks:
    """Clocks in seconds: monotonic, of the day, and what this thread has computed."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    cpu: Callable[[], float] = time.thread_time
