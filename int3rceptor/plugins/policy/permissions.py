"""What a plugin may be allowed: permissions, their scopes, and grants of them.

Pure data. Who asks for what is read in `inspection` and `manifest`; who is granted what
is decided in `manager`; `host` enforces it where host functions are bound.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

MAX_SCOPE_CHARS = 1024
"""A host, a topic or a folder; the longest path that Linux takes is four times this."""


class Permission(Enum):
    """One thing that can be allowed; the value is how it is written."""

    # Enum's own is a Python function, and every host call looks one up.
    __hash__ = object.__hash__

    BASE = "base"
    REQUEST_READ = "request.read"
    RESPONSE_READ = "response.read"
    BODY_READ = "body.read"
    REQUEST_MODIFY = "request.modify"
    RESPONSE_MODIFY = "response.modify"
    BODY_MODIFY = "body.modify"
    RECORD = "record"
    RESPOND = "respond"
    CONNECT = "connect"
    SECRETS_READ = "secrets.read"
    AMBIENT = "ambient"
    KV = "kv"
    CONTEXT = "context"
    TOPICS_HEAR = "topics.hear"
    TOPICS_SEND = "topics.send"
    FILES = "files"
    NETWORK = "network"
    NETWORK_PRIVATE = "network.private"


MEANINGS = {
    Permission.BASE: "write log lines, read its own configuration and memory size",
    Permission.REQUEST_READ: "read the requests of the flows in its scope, who "
    "they are from and how they fared",
    Permission.RESPONSE_READ: "read the heads of the responses in its scope",
    Permission.BODY_READ: "read the bodies and trailers in its scope",
    Permission.REQUEST_MODIFY: "change the heads of requests",
    Permission.RESPONSE_MODIFY: "change the heads of responses",
    Permission.BODY_MODIFY: "replace bodies, whole or chunk by chunk, and decode them",
    Permission.RECORD: "tag flows, and say or change what is kept of them",
    Permission.RESPOND: "answer in the origin's place, drop or delay",
    Permission.CONNECT: "say where requests and connections go, and refuse, delay or "
    "leave alone whole connections",
    Permission.SECRETS_READ: "read cookies and credentials, not masked",
    Permission.AMBIENT: "read the clock and random bytes",
    Permission.KV: "keep state of its own under keys",
    Permission.CONTEXT: "read and leave values on flows, for other plugins",
    Permission.TOPICS_HEAR: "get messages of other plugins",
    Permission.TOPICS_SEND: "send messages to other plugins",
    Permission.FILES: "use the files of a folder, to read (:ro) or to change (:rw)",
    Permission.NETWORK: "send HTTP requests to public addresses of a host",
    Permission.NETWORK_PRIVATE: "send HTTP requests to a host wherever it leads, this "
    "machine and its networks included",
}
"""Each permission in plain words."""

SCOPED = {
    Permission.CONTEXT: "keys",
    Permission.TOPICS_HEAR: "topic",
    Permission.TOPICS_SEND: "topic",
    Permission.FILES: "folder",
    Permission.NETWORK: "host",
    Permission.NETWORK_PRIVATE: "host",
}
"""Permissions that name what they are for, most as a glob: `context:auth.*`. The value
says what."""

GRANTED_UNASKED = frozenset(
    {
        Permission.BASE,
        Permission.REQUEST_READ,
        Permission.RESPONSE_READ,
        Permission.BODY_READ,
        Permission.AMBIENT,
    }
)
"""What a module that was only dropped into the folder may do: look, not touch."""

SHORT = {"topics": (Permission.TOPICS_HEAR, Permission.TOPICS_SEND)}
"""Names that stand for several permissions, each for the same thing."""

_IMPLIED = {Permission.NETWORK_PRIVATE: Permission.NETWORK}
"""A grant that is worth another one, too."""

_HOST = re.compile(r"(?:[\w.*?-]+|\[[0-9A-Fa-f:.]+\])(?::(?:\d{1,5}|\*))?", re.ASCII)
_FOLDER = re.compile(r"/.*:r[ow]")
_BY_NAME = {one.value: one for one in Permission}


@dataclass(slots=True, frozen=True, order=True)
class Grant:
    """One permission, with what it is for if it is a scoped one."""

    name: str
    scope: str = ""

    @property
    def permission(self) -> Permission:
        """Which permission it grants."""
        return _BY_NAME[self.name]

    def __str__(self) -> str:
        return f"{self.name}:{self.scope}" if self.scope else self.name

    def in_words(self) -> str:
        """What it allows, for people."""
        words = MEANINGS[self.permission]
        return f"{words}: {self.scope}" if self.scope else words


def grant_of(permission: Permission, scope: str = "") -> Grant:
    """A grant of one permission."""
    return Grant(permission.value, scope)


def parse_grants(text: str) -> frozenset[Grant]:
    """`NAME` or `NAME:SCOPE`, as manifests write it; several of a short name.
    ValueError says why not."""
    name, colon, scope = text.partition(":")
    found = SHORT.get(name) or tuple(filter(None, [_BY_NAME.get(name)]))
    if not found:
        known = ", ".join((*_BY_NAME, *SHORT))
        raise ValueError(f"no such permission; there are {known}")
    what = SCOPED.get(found[0])
    if what is None and colon:
        raise ValueError(f"{name} is not for one thing alone: nothing may follow it")
    if what is not None and not scope:
        raise ValueError(f"{name} must say for which {what}: {name}:…")
    _require_scope(name, scope)
    return frozenset(Grant(one.value, scope) for one in found)


def _require_scope(name: str, scope: str) -> None:
    if len(scope) > MAX_SCOPE_CHARS or not scope.isprintable():
        raise ValueError("what follows the colon is too long, or not printable")
    if name == Permission.FILES.value and not _FOLDER.fullmatch(scope):
        raise ValueError(
            "write the folder's whole path, and :ro or :rw, as files:/srv/data:ro"
        )
    hosts = (Permission.NETWORK.value, Permission.NETWORK_PRIVATE.value)
    if name in hosts and not _HOST.fullmatch(scope):
        raise ValueError(
            "write a host, with a port unless it is the scheme's own, as "
            f"{name}:*.example.com, {name}:10.0.0.7:8080, {name}:[::1]:8080"
        )


def parse_all(texts: Iterable[str]) -> frozenset[Grant]:
    """The grants of a list, as manifests write it. ValueError as `parse_grants`."""
    return frozenset(one for text in texts for one in parse_grants(text))


class Grants:
    """What one plugin was granted, as host functions ask for it."""

    __slots__ = ("_scopes",)

    def __init__(self, grants: Iterable[Grant]) -> None:
        self._scopes: dict[Permission, tuple[str, ...]] = {}
        for one in sorted(grants):
            kind = one.permission
            for worth in {kind, _IMPLIED.get(kind, kind)}:
                self._scopes[worth] = (*self._scopes.get(worth, ()), one.scope)

    def __contains__(self, permission: Permission) -> bool:
        return permission in self._scopes

    def covers(self, permission: Permission, name: str) -> bool:
        """Whether a scoped permission was granted for `name`."""
        return any(fnmatchcase(name, one) for one in self.scopes(permission))

    def scopes(self, permission: Permission) -> tuple[str, ...]:
        """What a scoped permission was granted for; () if it was not."""
        return self._scopes.get(permission, ())
