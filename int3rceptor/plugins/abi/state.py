"""Host functions about what outlives a call: key-value state, and a flow's context."""

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.abi.rows import (
    ALL_HOOKS,
    ARG,
    HOOK,
    LARGE,
    LENGTH,
    LISTED,
    NONE,
    PTR,
    Need,
    row,
)
from int3rceptor.plugins.policy.permissions import Permission

_KV = Need(Permission.KV)
_CONTEXT = Need(Permission.CONTEXT)
_KEY = "key_ptr key_len"
_VALUE = "val_ptr val_len"
_BUFFER = "buf_ptr buf_len"
AWAY = Status.UNREACHABLE

KEY_VALUES = (
    row(
        "host_kv_get",
        f"{_KEY} {_BUFFER}",
        _KV,
        (),
        "reads a key of the plugin's state",
        LENGTH,
        *(NONE, PTR, AWAY),
    ),
    row(
        "host_kv_set",
        f"{_KEY} {_VALUE}",
        _KV,
        (),
        "keeps a value under a key, without an end",
        "OK",
        *(PTR, ARG, LARGE, AWAY),
    ),
    row(
        "host_kv_add",
        f"{_KEY} delta",
        _KV,
        (),
        "adds to a number, which begins at 0 and never falls below it",
        "the number",
        *(PTR, ARG, LARGE, AWAY),
        result="i64",
    ),
    row(
        "host_kv_expire",
        f"{_KEY} ms",
        _KV,
        (),
        "lets a key end that long from now",
        "OK",
        *(NONE, PTR, AWAY),
    ),
    row(
        "host_kv_delete",
        _KEY,
        _KV,
        (),
        "forgets a key",
        "OK",
        *(NONE, PTR, AWAY),
    ),
    row(
        "host_kv_list",
        f"prefix_ptr prefix_len {_BUFFER}",
        _KV,
        (),
        "reads the keys that begin with a prefix, in order",
        LISTED,
        *(PTR, AWAY),
    ),
)

CONTEXT = (
    row(
        "host_context_get",
        f"{_KEY} {_BUFFER}",
        _CONTEXT,
        ALL_HOOKS,
        "reads what a plugin left on this flow under a key",
        LENGTH,
        *(NONE, PTR, HOOK),
    ),
    row(
        "host_context_set",
        f"{_KEY} {_VALUE}",
        _CONTEXT,
        ALL_HOOKS,
        "leaves a value on this flow, for later hooks and plugins",
        "OK",
        *(PTR, ARG, HOOK, LARGE),
    ),
)
