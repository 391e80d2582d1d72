"""Host functions for the request beside a response, for trailers, and for tags."""

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.rows import (
    ALL_HOOKS,
    ARG,
    BUF,
    EDIT,
    EDIT_BODY,
    FIELD_ERRORS,
    HOOK,
    KEPT,
    KEPT_BODY_HOOKS,
    KEPT_REQUEST_HOOKS,
    LARGE,
    LENGTH,
    LISTED,
    NAME,
    NONE,
    PTR,
    READ,
    READ_BODY,
    RECORD,
    HostFunction,
    row,
)

_FIELD = "name_ptr name_len val_ptr val_len"
_TEXT = "val_ptr val_len"
_REQUEST_BODY_HOOKS = (HookPoint.REQUEST, HookPoint.CAPTURE)


def _writers(
    what: str, noun: str, hooks: tuple[HookPoint, ...], edits_body: bool
) -> tuple[HostFunction, ...]:
    """The three that write fields of one place."""
    need = EDIT_BODY if edits_body else EDIT
    errors = (NONE, *FIELD_ERRORS) if edits_body else FIELD_ERRORS
    return (
        row(
            f"host_set_{what}",
            _FIELD,
            need,
            hooks,
            f"sets a {noun}: replaces the first of this name and drops the others",
            "OK",
            *errors,
        ),
        row(
            f"host_add_{what}",
            _FIELD,
            need,
            hooks,
            f"appends a {noun}, keeping those of the same name",
            "OK",
            *errors,
        ),
        row(
            f"host_remove_{what}",
            NAME,
            need,
            hooks,
            f"drops every {noun} of this name",
            "the number dropped",
            *errors,
        ),
    )


REQUEST_SIDE = (
    *_writers("request_header", "header of the request", KEPT_REQUEST_HOOKS, False),
    row(
        "host_get_request_body",
        BUF,
        READ_BODY,
        KEPT_BODY_HOOKS,
        "reads the whole body of the request, as it is on the wire",
        LENGTH,
        *(PTR, HOOK, LARGE),
    ),
    row(
        "host_set_request_body",
        _TEXT,
        EDIT_BODY,
        _REQUEST_BODY_HOOKS,
        "replaces the body of the request",
        "OK",
        *(PTR, ARG, HOOK, LARGE),
    ),
)

TRAILERS = (
    *_writers("trailer", "trailer of the hook's message", KEPT_BODY_HOOKS, True),
    row(
        "host_list_request_trailers",
        BUF,
        READ_BODY,
        KEPT_BODY_HOOKS,
        "reads all trailers of the request",
        LISTED,
        *(PTR, HOOK, LARGE),
    ),
    *_writers("request_trailer", "trailer of the request", _REQUEST_BODY_HOOKS, True),
)

TAGS = (
    row(
        "host_list_tags",
        BUF,
        READ,
        ALL_HOOKS,
        "reads the flow's tags",
        LISTED,
        *(PTR, HOOK),
    ),
    row(
        "host_tag",
        _TEXT,
        RECORD,
        ALL_HOOKS,
        "adds a UTF-8 tag to the flow",
        "OK",
        *(PTR, ARG, HOOK, LARGE),
    ),
    row(
        "host_remove_tag",
        _TEXT,
        RECORD,
        ALL_HOOKS,
        "takes away a tag that this plugin added",
        "OK",
        *(NONE, PTR, ARG, HOOK, KEPT),
    ),
)
