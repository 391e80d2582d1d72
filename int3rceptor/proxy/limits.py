"""The proxy room's fixed limits, each with its reason. Settings live in the config."""

MAX_RETRIES = 6
"""Attempts for a request that no origin can have processed. An origin that closes each
connection after N requests (nginx's keepalive_requests) refuses all but N of a burst,
so a burst of 6 N streams still comes through."""

MAX_CONNECTED_HOSTS = 256
"""Origins per plain client connection for which on_connect has been asked. Past it the
oldest is forgotten, and asked for again."""

LINGER_S = 2.0
"""How long a refused client may still send while it reads why (RFC 9112, 9.6)."""

MAX_LINGER_BYTES = 1024 * 1024
"""What is read and thrown away meanwhile: a client that sends more is not listening."""

EAGER_BODY_BYTES = 64 * 1024
"""A body up to this size that is already here is handed on in one piece."""

TUNNEL_IDLE_S = 3600.0
"""An idle tunnel is closed after an hour: WebSockets ping far more often."""

MAX_CONNECT_HEAD_BYTES = 64 * 1024
"""A CONNECT head; as large as any other head may be."""

PROBE_S = 1.0
"""How long a client's handshake may wait to learn whether its origin speaks HTTP/2."""

MAX_KNOWN_ORIGINS = 1024
"""Origins whose keys are kept ready: those of a busy minute."""

MAX_ALPN_ENTRIES = 4096
"""Origins whose ALPN choice is remembered, 100 bytes each."""

ACCEPT_BATCH = 64
"""Connections accepted in one turn of the loop: a burst must not starve the others."""

YIELD_S = 0.001
"""How long a process that serves more clients than another leaves it the next one. It
is taken then by whoever comes first: the other may be busy, or stuck."""

RESOLVER_THREADS = 8
"""getaddrinfo calls at once. A slow name server then delays names, not exchanges."""
