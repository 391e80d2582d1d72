"""What the hub asks the proxy about its plugins, and what it is told."""

from enum import Enum

import msgspec

from int3rceptor.link.plugin_reports import LogLine


class PluginAct(Enum):
    """What is asked; `text` is what stands in brackets."""

    LIST = "list"
    SHOW = "show"
    LOG = "log"
    ENABLE = "enable"
    DISABLE = "disable"
    RELOAD = "reload"
    DELETE = "delete"
    UPLOAD = "upload"  # (the path of a module that this user just wrote)
    GRANT = "grant"  # (the permission)
    REVOKE = "revoke"  # (the permission)
    READ_CONFIG = "read config"
    WRITE_CONFIG = "write config"  # (a JSON object)
    FOLLOW = "follow"  # (what another worker did, and wrote into the files)


class PluginFailure(Enum):
    """Why something was not done."""

    NOT_FOUND = "not found"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


class PluginAsk(msgspec.Struct, tag="plugin ask", array_like=True, frozen=True):
    """One question; the answer has its number."""

    number: int
    act: PluginAct
    name: str = ""
    text: str = ""


class PluginTold(msgspec.Struct, tag="plugin told", array_like=True, frozen=True):
    """The answer: JSON, or why there is none."""

    number: int
    answer: bytes = b""
    failure: PluginFailure | None = None
    why: str = ""


class PluginWrote(msgspec.Struct, tag="plugin wrote", array_like=True, frozen=True):
    """A plugin wrote a line. Sent only while someone watches."""

    line: LogLine
