"""Letting others run, for code that computes long without waiting for anything."""

from collections.abc import Generator
from types import coroutine


@coroutine
def turn() -> Generator[None]:
    """Give the event loop one turn: what is due is written, and other tasks run."""
    yield
