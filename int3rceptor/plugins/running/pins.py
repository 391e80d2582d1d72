"""What is shown to a guest, and which instance is to see it: a body keeps its own."""

from collections.abc import Sequence
from typing import NamedTuple

from int3rceptor.errors import PluginError
from int3rceptor.hooks.verdicts import Verdict
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.abi.codes import Entry
from int3rceptor.plugins.engine.boundary import Fault
from int3rceptor.plugins.running.instance import PluginInstance
from int3rceptor.plugins.streaming.chunks import Chunk
from int3rceptor.plugins.topics.messages import Message

_LOST = "its instance was built anew in the middle of the body"


class Pin:
    """Which instance saw the beginning of a body: no other may see the rest."""

    __slots__ = ("_starts", "instance")

    def __init__(self) -> None:
        self.instance: PluginInstance | None = None
        self._starts = 0

    def among(self, free: Sequence[PluginInstance]) -> Sequence[PluginInstance]:
        """Those of the free ones that may be asked."""
        if self.instance is None:
            return free
        return (self.instance,) if self.instance in free else ()

    def check(self, instance: PluginInstance) -> None:
        """PluginError when what it knew of the body is gone."""
        is_first = self.instance is None
        if not is_first and not (instance.is_up and instance.starts == self._starts):
            raise PluginError(_LOST)

    def keep(self, instance: PluginInstance) -> None:
        """It has seen a chunk."""
        self.instance, self._starts = instance, instance.starts


class Shown(NamedTuple):
    """A chunk on its way to a guest."""

    chunk: Chunk
    pin: Pin

    @property
    def is_given(self) -> bool:
        """Whether the guest put something in its place."""
        return self.chunk.is_given


def run(
    instance: PluginInstance,
    point: Entry,
    flow: Flow | None,
    shown: Shown | Message | None,
) -> Verdict | Fault | None:
    """Run one entry with what is shown to it."""
    if shown is None:
        return instance.run(point, flow)
    if isinstance(shown, Message):
        return instance.read_message(shown)
    shown.pin.check(instance)
    result = instance.run(point, flow, shown.chunk)
    shown.pin.keep(instance)
    return result
