"""The host function that reads a named fact."""

from collections.abc import Mapping
from types import MappingProxyType

from int3rceptor.model.headers import to_bytes
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.abi.named_facts import FACTS
from int3rceptor.plugins.host.host import Host, HostAct

_BY_BYTES = {name.encode(): fact for name, fact in FACTS.items()}


def get_fact(host: Host, name_at: int, name_len: int, address: int, room: int) -> int:
    """host_get_fact."""
    name = host.read(name_at, name_len)
    if name is None:
        return Status.BAD_POINTER
    fact = _BY_BYTES.get(name)
    if fact is None:
        return Status.BAD_ARGUMENT
    message = None if host.chunk is None else host.chunk.message
    value = None if host.flow is None else fact.read(host.flow, message)
    if value is None:
        return Status.NOT_FOUND
    return host.give(to_bytes(value), address, room)


FACT_READERS: Mapping[str, HostAct] = MappingProxyType({"host_get_fact": get_fact})
"""By the name that guests import them under."""
