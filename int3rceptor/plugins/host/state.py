"""Host functions about a plugin's state and about what plugins leave on a flow.

State belongs to the plugin and stays as it is when a call fails; what was left on the
flow is taken back like any other change to it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.host.host import Host, HostAct
from int3rceptor.plugins.host.read import give_list
from int3rceptor.plugins.policy.permissions import Permission
from int3rceptor.plugins.state.keyvalues import MAX_KEY_BYTES, OverQuota, Unreachable

LOOK_COST = 16
"""Bytes of the budget for each key that the plugin has, when it asks for some of them:
all are looked at. The most keys cost a third of what a call may have by default."""


def kv_get(host: Host, key_at: int, key_len: int, address: int, room: int) -> int:
    """host_kv_get."""
    key = host.read(key_at, key_len)
    if key is None:
        return Status.BAD_POINTER
    try:
        value = host.surroundings.state.get(key)
    except Unreachable:
        return Status.UNREACHABLE
    return Status.NOT_FOUND if value is None else host.give(value, address, room)


def kv_set(host: Host, key_at: int, key_len: int, at: int, length: int) -> int:
    """host_kv_set."""
    key, value = host.read(key_at, key_len), host.read(at, length)
    if key is None or value is None:
        return Status.BAD_POINTER
    if not _is_key(key):
        return Status.BAD_ARGUMENT
    try:
        host.surroundings.state.set(key, value)
    except OverQuota:
        return Status.TOO_LARGE
    except Unreachable:
        return Status.UNREACHABLE
    return Status.OK


def kv_add(host: Host, key_at: int, key_len: int, delta: int) -> int:
    """host_kv_add."""
    key = host.read(key_at, key_len)
    if key is None:
        return Status.BAD_POINTER
    if not _is_key(key):
        return Status.BAD_ARGUMENT
    try:
        number = host.surroundings.state.add(key, _signed(delta))
    except OverQuota:
        return Status.TOO_LARGE
    except Unreachable:
        return Status.UNREACHABLE
    return Status.BAD_ARGUMENT if number is None else number


def kv_expire(host: Host, key_at: int, key_len: int, milliseconds: int) -> int:
    """host_kv_expire."""
    key = host.read(key_at, key_len)
    if key is None:
        return Status.BAD_POINTER
    try:
        is_there = host.surroundings.state.expire(key, milliseconds)
    except Unreachable:
        return Status.UNREACHABLE
    return Status.OK if is_there else Status.NOT_FOUND


def kv_delete(host: Host, key_at: int, key_len: int) -> int:
    """host_kv_delete."""
    key = host.read(key_at, key_len)
    if key is None:
        return Status.BAD_POINTER
    try:
        was_there = host.surroundings.state.delete(key)
    except Unreachable:
        return Status.UNREACHABLE
    return Status.OK if was_there else Status.NOT_FOUND


def kv_list(host: Host, at: int, length: int, address: int, room: int) -> int:
    """host_kv_list."""
    prefix = host.read(at, length)
    if prefix is None:
        return Status.BAD_POINTER
    state = host.surroundings.state
    if not host.spend(LOOK_COST * state.count):
        return Status.TOO_LARGE
    try:
        keys = state.keys(prefix)
    except Unreachable:
        return Status.UNREACHABLE
    return give_list(host, keys, address, room)


def context_get(host: Host, key_at: int, key_len: int, address: int, room: int) -> int:
    """host_context_get."""
    key, flow = host.read(key_at, key_len), host.flow
    if key is None or flow is None:
        return Status.BAD_POINTER
    name = key.decode("utf-8", "replace")
    if not host.grants.covers(Permission.CONTEXT, name):
        return Status.NO_PERMISSION
    value = flow.context.get(name)
    return Status.NOT_FOUND if value is None else host.give(value, address, room)


def context_set(host: Host, key_at: int, key_len: int, at: int, length: int) -> int:
    """host_context_set."""
    key, value, flow = host.read(key_at, key_len), host.read(at, length), host.flow
    if key is None or value is None or flow is None:
        return Status.BAD_POINTER
    try:
        name = key.decode("utf-8")
    except UnicodeDecodeError:
        return Status.BAD_ARGUMENT
    if not _is_key(key) or not name.isprintable():
        return Status.BAD_ARGUMENT
    if not host.grants.covers(Permission.CONTEXT, name):
        return Status.NO_PERMISSION
    context, old = flow.context, dict(flow.context)

    def restore() -> None:
        context.clear()
        context.update(old)

    host.save("context", restore)
    return Status.OK if flow.leave(name, value) else Status.TOO_LARGE


def _is_key(key: bytes) -> bool:
    return 0 < len(key) <= MAX_KEY_BYTES


def _signed(value: int) -> int:
    """A guest's i32, which comes as an unsigned number."""
    return value - (1 << 32) if value >= 1 << 31 else value


STATE: Mapping[str, HostAct] = MappingProxyType(
    {
        "host_kv_get": kv_get,
        "host_kv_set": kv_set,
        "host_kv_add": kv_add,
        "host_kv_expire": kv_expire,
        "host_kv_delete": kv_delete,
        "host_kv_list": kv_list,
        "host_context_get": context_get,
        "host_context_set": context_set,
    }
)
"""By the name that guests import them under."""
