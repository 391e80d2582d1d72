"""What a body's way asks of the plugin that it passes. Pure: `listener` is one."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from int3rceptor.hooks.dispatcher import Answer
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.abi.codes import Entry
from int3rceptor.plugins.streaming.chunks import Chunk


class Runner(Protocol):
    """Calls the guest: the plugin's listener."""

    @property
    def name(self) -> str:
        """The plugin's."""
        ...

    @property
    def fails_closed(self) -> bool:
        """Whether nothing may pass it by."""
        ...

    @property
    def changes_chunks(self) -> bool:
        """Whether the guest can, and may."""
        ...

    @property
    def changes_bodies(self) -> bool:
        """Whether the guest may put something in an event's place, or let it go."""
        ...

    @property
    def call_bytes(self) -> int:
        """What one call may move."""
        ...

    def shows(
        self, entry: Entry, flow: Flow
    ) -> Callable[[Chunk], Answer | Awaitable[Answer]]:
        """What calls the guest with the chunks, or events, of one body; PluginError
        when a call fails, or when the instance that saw the beginning is no more."""
        ...
