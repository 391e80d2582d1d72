"""The words of the plugin ABI: status codes, hook codes, log levels, permissions.

Pure data, without any WebAssembly engine.
"""

from enum import Enum, IntEnum

ABI_VERSION = 1
"""Raised only when a module built for an older version could no longer run."""

IMPORT_MODULE = "env"
PAGE_BYTES = 64 * 1024
"""The unit that WebAssembly counts memory in."""

MEMORY_EXPORT = "memory"
INIT_EXPORT = "plugin_init"


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


class Permission(Enum):
    """What a group of host functions allows, in plain words."""

    BASE = "write log lines, read its own configuration and memory size"
    READ = (
        "read the URL, headers, status and connection facts of the flows in its scope"
    )
    READ_BODY = "read the bodies and trailers of the flows in its scope"
    CHANGE = "change requests and responses, and tag flows"
    CHANGE_BODY = "replace the bodies of requests and responses"
    DECIDE = "answer in the origin's place, drop, delay, or leave a connection alone"
    AMBIENT = "read the clock and random bytes"


GRANTED_UNASKED = frozenset(
    {Permission.BASE, Permission.READ, Permission.READ_BODY, Permission.AMBIENT}
)
"""What a module that was only dropped into the folder may do: look, not touch."""

ALL_PERMISSIONS = frozenset(Permission)
