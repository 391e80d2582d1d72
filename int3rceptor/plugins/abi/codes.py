"""The words of the plugin ABI: exports, status codes, hook codes, log levels.

Pure data, without any WebAssembly engine.
"""

from enum import Enum, IntEnum

from int3rceptor.hooks.points import HookPoint

ABI_VERSION = 1
"""Raised only when a module built for an older version could no longer run."""

IMPORT_MODULE = "env"
PAGE_BYTES = 64 * 1024
"""The unit that WebAssembly counts memory in."""

MEMORY_EXPORT = "memory"
INIT_EXPORT = "plugin_init"

WASI_MODULE = "wasi_snapshot_preview1"
INITIALIZE_EXPORT = "_initialize"
"""What a WASI reactor sets itself up in: the one export that is `() -> ()`."""

START_EXPORT = "_start"
"""What a WASI command, which plugins are not, begins and ends in."""


class Extra(Enum):
    """What the host calls in a guest beside the hooks of the dispatcher.

    on_request_chunk, on_response_chunk: a piece of a body on its way, or its end.
    on_sse_event: one event of a response that is a stream of them (text/event-stream).
    on_websocket_message: a message of a WebSocket on its way, either way.
    on_message: a message of another plugin, on a topic that this one listens to.
    """

    # As HookPoint's, and for the same reason.
    __hash__ = object.__hash__

    REQUEST_CHUNK = "on_request_chunk"
    RESPONSE_CHUNK = "on_response_chunk"
    SSE_EVENT = "on_sse_event"
    WEBSOCKET_MESSAGE = "on_websocket_message"
    MESSAGE = "on_message"


Entry = HookPoint | Extra
"""A function of the guest that the host calls, plugin_init aside."""

ENTRIES: tuple[Entry, ...] = (*HookPoint, *Extra)
"""All of them."""


class Status(IntEnum):
    """What a host function answers. Zero and above is success, often a length."""

    OK = 0
    NOT_FOUND = -1
    BAD_POINTER = -2
    BAD_ARGUMENT = -3
    WRONG_HOOK = -4
    NO_PERMISSION = -5
    PROTECTED = -6
    TOO_LARGE = -7
    TOO_DEEP = -8
    UNREACHABLE = -9


class HookCode(IntEnum):
    """What a hook answers. Any other value counts as ERROR."""

    CONTINUE = 0
    RESPOND = 1
    DROP = 2
    ERROR = -1


class LogLevel(IntEnum):
    """The levels of `host_log`."""

    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3
