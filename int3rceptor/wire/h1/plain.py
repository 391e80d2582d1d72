"""A message whose end is known by counting: no body, or one Content-Length.

Two of them make a plain exchange, which needs no engine. It knows no bytes and no h11.
"""

from enum import Enum


class Stage(Enum):
    """How far a message has come."""

    IDLE = "idle"
    BODY = "body"
    DONE = "done"
    FAILED = "failed"
    """It was not what its head had said; nothing more of it can be sent."""


# In Python 3.11 a member costs several globals, and each exchange asks for dozens.
IDLE, BODY, DONE, FAILED = Stage


class Counted:
    """One direction of one exchange; `rest` is the number of bytes still to come."""

    __slots__ = ("rest", "stage")

    def __init__(self) -> None:
        self.stage = IDLE
        self.rest = 0

    def take(self, size: int) -> str:
        """Count a piece of body; what is wrong with it, or ""."""
        if self.stage is not BODY:
            return f"a body is not expected, the message is {self.stage.value}"
        if size > self.rest:
            self.stage = FAILED
            return "the body is longer than its Content-Length"
        self.rest -= size
        return ""

    def finish(self) -> str:
        """The message is at its end; what is wrong with that, or ""."""
        if self.stage is not BODY:
            return f"an end is not expected, the message is {self.stage.value}"
        if self.rest:
            self.stage = FAILED
            return f"the body is {self.rest} bytes shorter than its Content-Length"
        self.stage = DONE
        return ""
