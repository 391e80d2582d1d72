"""The one table of host functions: name, signature, permission, hooks, errors, cost.

The linker, the host functions, `plugins check`, the documentation and the tests are
made from this table or checked against it. Pure data, without any WebAssembly engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.codes import Permission, Status


@dataclass(slots=True, frozen=True, kw_only=True)
class HostFunction:
    """One row. `params` are i32 each; the result is an i32 unless `result` says i64.

    A module may also declare the function without a result. `hooks` are the points
    where it has a meaning (elsewhere it answers WRONG_HOOK); empty: everywhere, in
    plugin_init too. `legacy` marks the original ABI, where every failure is -1.
    """

    name: str
    params: tuple[str, ...]
    permission: Permission
    hooks: tuple[HookPoint, ...]
    does: str
    returns: str
    errors: tuple[Status, ...]
    cost: str
    result: str = "i32"
    legacy: bool = False

    @property
    def signature(self) -> str:
        """The signature as the documentation writes it."""
        params = ", ".join(f"{name}: i32" for name in self.params)
        return f"{self.name}({params}) -> {self.result}"

    @property
    def needs_memory(self) -> bool:
        """Whether it reads or writes the guest's memory."""
        return any(name.endswith("ptr") for name in self.params)


_ALL = tuple(HookPoint)
_REQUEST = (HookPoint.REQUEST, HookPoint.RULE_MATCH)
_RESPONSE = (HookPoint.RESPONSE,)
_BODY = (HookPoint.REQUEST, HookPoint.RESPONSE)
_CHANGE = (*_REQUEST, *_RESPONSE)
_ANSWERED = (*_RESPONSE, HookPoint.CAPTURE)
_DECIDE = (HookPoint.CONNECT, *_CHANGE)
_BUF = "buf_ptr buf_len"
_LENGTH = "the length; more than buf_len means that nothing was written: ask again"
_PTR, _ARG, _HOOK = Status.BAD_POINTER, Status.BAD_ARGUMENT, Status.WRONG_HOOK
_NONE, _KEPT, _LARGE = Status.NOT_FOUND, Status.PROTECTED, Status.TOO_LARGE
_MOVED = "1 call, the bytes moved"


def _row(
    name: str,
    params: str,
    permission: Permission,
    hooks: tuple[HookPoint, ...],
    does: str,
    returns: str = "OK",
    *errors: Status,
    result: str = "i32",
    legacy: bool = False,
) -> HostFunction:
    names = tuple(params.split())
    moves = any(one.endswith("ptr") for one in names)
    refused = () if permission is Permission.BASE else (Status.NO_PERMISSION,)
    return HostFunction(
        name=name,
        params=names,
        permission=permission,
        hooks=hooks,
        does=does,
        returns=returns,
        errors=(_NONE,) if legacy else (*errors, *refused),
        cost=_MOVED if moves else "1 call",
        result=result,
        legacy=legacy,
    )


def _text(name: str, does: str, *errors: Status) -> HostFunction:
    """A row that copies one text about the flow into the guest's buffer."""
    return _row(name, _BUF, Permission.READ, _ALL, does, _LENGTH, _PTR, _HOOK, *errors)


_BASE, _READ, _READ_BODY = Permission.BASE, Permission.READ, Permission.READ_BODY
_EDIT, _EDIT_BODY = Permission.CHANGE, Permission.CHANGE_BODY
_NAME = "name_ptr name_len"
_LISTED = f"a list; {_LENGTH}"
_FIELD_ERRORS = (_PTR, _ARG, _HOOK, _KEPT)

_FOUNDING = (
    _row(
        "host_log",
        "level ptr len",
        _BASE,
        (),
        "writes one UTF-8 log line; a level outside 0 to 3 counts as INFO",
        legacy=True,
    ),
    _row(
        "host_get_memory_size",
        "",
        _BASE,
        (),
        "tells the size of the module's memory",
        "pages of 64 KiB",
    ),
    _row(
        "host_abort",
        "ptr len",
        _BASE,
        (),
        "writes an ABORT line to the log; it stops nothing",
        legacy=True,
    ),
    _row(
        "host_get_header",
        "name_ptr name_len val_ptr val_max",
        _READ,
        _ALL,
        "reads the first value of a header of the hook's message",
        "the length; more than val_max means that nothing was written: ask again",
        legacy=True,
    ),
    _row(
        "host_set_header",
        "name_ptr name_len val_ptr val_len",
        _EDIT,
        _CHANGE,
        "sets a header: replaces the first of this name and drops the others",
        legacy=True,
    ),
    _row(
        "host_get_method",
        "buf_ptr max_len",
        _READ,
        _ALL,
        "reads the request's method",
        "the length; more than max_len means that nothing was written: ask again",
        legacy=True,
    ),
)

_READING = (
    _text("host_get_url", "reads the request's URL"),
    _text("host_get_scheme", "reads http or https"),
    _text("host_get_host", "reads the host that the request goes to"),
    _row(
        "host_get_port",
        "",
        _READ,
        _ALL,
        "tells the port that the request goes to",
        "the port",
        _HOOK,
    ),
    _text("host_get_path", "reads path and query, byte for byte as received"),
    _text("host_get_version", "reads the HTTP version of the hook's message"),
    _text("host_get_client_addr", "reads the client's ADDRESS:PORT"),
    _text("host_get_sni", "reads the server name of the client's TLS hello", _NONE),
    _text("host_get_connect_host", "reads the host that CONNECT named", _NONE),
    _text("host_get_rule", "reads the name of the rule that matched", _NONE),
    _row(
        "host_get_request_header",
        f"{_NAME} {_BUF}",
        _READ,
        _ALL,
        "reads the first value of a header of the request, in any hook",
        _LENGTH,
        *(_NONE, _PTR, _HOOK),
    ),
    _row(
        "host_get_header_values",
        f"{_NAME} {_BUF}",
        _READ,
        _ALL,
        "reads every value of a header of the hook's message",
        _LISTED,
        *(_NONE, _PTR, _HOOK),
    ),
    _row(
        "host_list_headers",
        _BUF,
        _READ,
        _ALL,
        "reads all headers of the hook's message: name, value, name, value",
        _LISTED,
        *(_NONE, _PTR, _HOOK),
    ),
    _row(
        "host_list_request_headers",
        _BUF,
        _READ,
        _ALL,
        "reads all headers of the request, in any hook",
        _LISTED,
        *(_PTR, _HOOK),
    ),
    _row(
        "host_get_status",
        "",
        _READ,
        _ANSWERED,
        "tells the response's status",
        "the status",
        *(_NONE, _HOOK),
    ),
    _row(
        "host_get_body",
        _BUF,
        _READ_BODY,
        _BODY,
        "reads the whole body of the hook's message, as it is on the wire",
        _LENGTH,
        *(_PTR, _HOOK, _LARGE),
    ),
    _row(
        "host_get_trailer",
        f"{_NAME} {_BUF}",
        _READ_BODY,
        _BODY,
        "reads the first value of a trailer",
        _LENGTH,
        *(_NONE, _PTR, _HOOK, _LARGE),
    ),
    _row(
        "host_list_trailers",
        _BUF,
        _READ_BODY,
        _BODY,
        "reads all trailers: name, value, name, value",
        _LISTED,
        *(_PTR, _HOOK, _LARGE),
    ),
)

_CHANGING = (
    _row(
        "host_add_header",
        "name_ptr name_len val_ptr val_len",
        _EDIT,
        _CHANGE,
        "appends a header, keeping those of the same name",
        "OK",
        *_FIELD_ERRORS,
    ),
    _row(
        "host_remove_header",
        "name_ptr name_len",
        _EDIT,
        _CHANGE,
        "drops every header of this name",
        "the number dropped",
        *_FIELD_ERRORS,
    ),
    _row(
        "host_set_method",
        "val_ptr val_len",
        _EDIT,
        _REQUEST,
        "sets the method; never from or to CONNECT or HEAD",
        "OK",
        *(_PTR, _ARG, _HOOK),
    ),
    _row(
        "host_set_path",
        "val_ptr val_len",
        _EDIT,
        _REQUEST,
        "sets path and query; begins with /",
        "OK",
        *(_PTR, _ARG, _HOOK),
    ),
    _row(
        "host_set_status",
        "status",
        _EDIT,
        _RESPONSE,
        "sets the status (200 to 599); never from or to one that has no body",
        "OK",
        *(_ARG, _HOOK),
    ),
    _row(
        "host_set_body",
        "val_ptr val_len",
        _EDIT_BODY,
        _BODY,
        "replaces the body of the hook's message",
        "OK",
        *(_PTR, _ARG, _HOOK, _LARGE),
    ),
    _row(
        "host_tag",
        "val_ptr val_len",
        _EDIT,
        _ALL,
        "adds a UTF-8 tag to the flow",
        "OK",
        *(_PTR, _ARG, _HOOK, _LARGE),
    ),
)

_DECIDING = (
    _row(
        "host_respond",
        "status headers_ptr headers_len body_ptr body_len",
        Permission.DECIDE,
        _DECIDE,
        "answers the client (200 to 599); headers are a list: name, value, …",
        "OK",
        *(_PTR, _ARG, _HOOK, _KEPT),
    ),
    _row(
        "host_drop",
        "",
        Permission.DECIDE,
        _ALL,
        "closes without an answer; in on_capture: does not keep the flow",
        "OK",
        _HOOK,
    ),
    _row(
        "host_delay",
        "ms",
        Permission.DECIDE,
        _DECIDE,
        "waits after the hook, 5 minutes at most, then goes on",
        "OK",
        *(_ARG, _HOOK),
    ),
    _row(
        "host_pass_through",
        "",
        Permission.DECIDE,
        (HookPoint.CONNECT,),
        "relays this connection unread",
        "OK",
        _HOOK,
    ),
    _row(
        "host_get_config",
        "key_ptr key_len buf_ptr buf_len",
        Permission.BASE,
        (),
        "reads a key of the plugin's configuration; an empty key: all as JSON",
        _LENGTH,
        *(_NONE, _PTR),
    ),
    _row(
        "host_now_ms",
        "",
        Permission.AMBIENT,
        (),
        "tells the time",
        "milliseconds since 1970-01-01 UTC",
        result="i64",
    ),
    _row(
        "host_random",
        _BUF,
        Permission.AMBIENT,
        (),
        "fills the buffer with random bytes",
        "OK",
        _PTR,
    ),
)

FUNCTIONS: Mapping[str, HostFunction] = MappingProxyType(
    {row.name: row for row in (*_FOUNDING, *_READING, *_CHANGING, *_DECIDING)}
)
"""The one table, by name."""
