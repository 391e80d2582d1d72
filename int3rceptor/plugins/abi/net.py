"""Host functions that go out to the network."""

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.abi.rows import ARG, BUF, KEPT, LARGE, LENGTH, PTR, Need, row
from int3rceptor.plugins.policy.permissions import Permission

NETWORK = (
    row(
        "host_http_fetch",
        f"request_ptr request_len {BUF}",
        Need(Permission.NETWORK),
        (),
        "sends an HTTP request and waits for the answer; both are lists: method, URL, "
        "body, then header name, value, …; status, body, then header name, value, …",
        f"a list; {LENGTH}, with the same request",
        *(PTR, ARG, KEPT, LARGE, Status.UNREACHABLE),
        blocks=True,
    ),
)
