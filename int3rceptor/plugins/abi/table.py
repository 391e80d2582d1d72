"""The one table of host functions: name, signature, permission, hooks, errors, cost.

The linker, the host functions, `plugins check`, the documentation and the tests are
made from this table or checked against it. Pure data, without any WebAssembly engine.
"""

from collections.abc import Mapping
from types import MappingProxyType

from int3rceptor.plugins.abi.body import STREAMING
from int3rceptor.plugins.abi.facts import KNOWING
from int3rceptor.plugins.abi.fields import REQUEST_SIDE, TAGS, TRAILERS
from int3rceptor.plugins.abi.flow import CHANGING, DECIDING, FOUNDING, READING
from int3rceptor.plugins.abi.net import NETWORK
from int3rceptor.plugins.abi.routing import ROUTING
from int3rceptor.plugins.abi.rows import HostFunction
from int3rceptor.plugins.abi.state import CONTEXT, KEY_VALUES
from int3rceptor.plugins.abi.topics import TOPICS
from int3rceptor.plugins.abi.wasi import WASI

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
