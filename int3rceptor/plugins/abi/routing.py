"""Host functions that say where a request or a connection goes."""

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.rows import ARG, HOOK, PTR, REQUEST_HOOKS, Need, row
from int3rceptor.plugins.policy.permissions import Permission

# More than changing a request: it would bring the client's credentials elsewhere.
_ROUTE = Need(Permission.CONNECT)
_CONNECT_HOOKS = (HookPoint.CONNECT,)

ROUTING = (
    row(
        "host_set_url",
        "url_ptr url_len",
        _ROUTE,
        REQUEST_HOOKS,
        "sends the request to this http or https URL; Host follows",
        "OK",
        *(PTR, ARG, HOOK),
    ),
    row(
        "host_set_upstream",
        "host_ptr host_len port",
        _ROUTE,
        _CONNECT_HOOKS,
        "dials this host and port in place of the origin, whose names stay",
        "OK",
        *(PTR, ARG, HOOK),
    ),
    row(
        "host_pass_through",
        "",
        _ROUTE,
        _CONNECT_HOOKS,
        "relays this connection unread",
        "OK",
        HOOK,
    ),
)
