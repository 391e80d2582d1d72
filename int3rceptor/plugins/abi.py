"""The one table of host functions: name, signature, permission, hooks, errors, cost.

The linker, the host functions, `plugins check`, the documentation and the tests are
made from this table or checked against it. Pure data, without any WebAssembly engine.
"""

from collections.abc import Mapping
from types import MappingProxyType

from int3rceptor.plugins.abi_body import STREAMING
from int3rceptor.plugins.abi_facts import KNOWING
from int3rceptor.plugins.abi_fields import REQUEST_SIDE, TAGS, TRAILERS
from int3rceptor.plugins.abi_flow import CHANGING, DECIDING, FOUNDING, READING
from int3rceptor.plugins.abi_net import NETWORK
from int3rceptor.plugins.abi_routing import ROUTING
from int3rceptor.plugins.abi_rows import HostFunction
from int3rceptor.plugins.abi_state import CONTEXT, KEY_VALUES
from int3rceptor.plugins.abi_topics import TOPICS
from int3rceptor.plugins.wasi.rows import WASI

_GROUPS: tuple[tuple[HostFunction, ...], ...] = (
    FOUNDING,
    READING,
    KNOWING,
    CHANGING,
    REQUEST_SIDE,
    TRAILERS,
    DECIDING,
    STREAMING,
    ROUTING,
    TAGS,
    KEY_VALUES,
    CONTEXT,
    TOPICS,
    NETWORK,
)

FUNCTIONS: Mapping[str, HostFunction] = MappingProxyType(
    {row.name: row for group in _GROUPS for row in group}
)
"""The one table, by name."""

ROWS: Mapping[str, HostFunction] = MappingProxyType({**FUNCTIONS, **WASI})
"""All that a module may import: our own functions, and WASI's. No name is in both."""
