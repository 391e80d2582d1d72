"""Host functions for the tags of a flow: list them, add one, take an own one away."""

from collections.abc import Mapping
from types import MappingProxyType

from int3rceptor.model.flow import Flow
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.host.host import Host, HostAct
from int3rceptor.plugins.host.read import give_list

MAX_TAG_CHARS = 128
"""Tags are words to filter by; with MAX_TAGS a flow keeps at most 8 KiB of them."""


def list_tags(host: Host, address: int, room: int) -> int:
    """host_list_tags."""
    if host.flow is None:
        return Status.NOT_FOUND
    return give_list(host, map(str.encode, host.flow.tags), address, room)


def tag(host: Host, address: int, length: int) -> int:
    """host_tag."""
    name = _name(host, address, length)
    flow = host.flow
    if isinstance(name, Status) or flow is None:
        return Status.BAD_POINTER if isinstance(name, str) else name
    if name in flow.tags:
        return Status.OK
    _save_tags(host, flow)
    if not flow.tag(name):
        return Status.TOO_LARGE
    _record(host, flow, _tagged(name))
    return Status.OK


def remove_tag(host: Host, address: int, length: int) -> int:
    """host_remove_tag: only what this plugin added; a tag may be someone's promise."""
    name = _name(host, address, length)
    flow = host.flow
    if isinstance(name, Status) or flow is None:
        return Status.BAD_POINTER if isinstance(name, str) else name
    if name not in flow.tags:
        return Status.NOT_FOUND
    author, what = host.surroundings.name, _tagged(name)
    if not any(one.author == author and one.what == what for one in flow.changes):
        return Status.PROTECTED
    _save_tags(host, flow)
    flow.tags.remove(name)
    _record(host, flow, f"untagged {name}")
    return Status.OK


def _tagged(name: str) -> str:
    return f"tagged {name}"


def _name(host: Host, address: int, length: int) -> str | Status:
    data = host.read(address, length)
    if data is None:
        return Status.BAD_POINTER
    try:
        name = data.decode("utf-8")
    except UnicodeDecodeError:
        return Status.BAD_ARGUMENT
    is_one = name and name.isprintable() and len(name) <= MAX_TAG_CHARS
    return name if is_one else Status.BAD_ARGUMENT


def _save_tags(host: Host, flow: Flow) -> None:
    tags, count = flow.tags.copy(), len(flow.changes)

    def restore() -> None:
        flow.tags[:] = tags
        del flow.changes[count:]

    host.save("tags", restore)


def _record(host: Host, flow: Flow, what: str) -> None:
    assert host.point is not None
    flow.record(host.point.value, host.surroundings.name, what)


TAGGERS: Mapping[str, HostAct] = MappingProxyType(
    {
        "host_list_tags": list_tags,
        "host_tag": tag,
        "host_remove_tag": remove_tag,
    }
)
"""By the name that guests import them under."""
