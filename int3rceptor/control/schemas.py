"""The shapes of the API's answers: what OpenAPI describes and clients rely on.

Only ever added to within one version of the API.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

MAX_ID = 2**53 - 1
"""Ids stay whole numbers in every JSON reader (RFC 8259, 6)."""

Pair = Annotated[tuple[str, str], Field(examples=[["content-type", "text/html"]])]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorDetail(_Shape):
    """One parameter at fault."""

    place: str = Field(alias="in", description="path, query, header or body.")
    name: str = Field(description="The parameter.")
    message: str = Field(description="What is wrong with it.")


class ErrorFacts(_Shape):
    """What went wrong."""

    code: str = Field(description="For programs; stable.", examples=["not_found"])
    message: str = Field(description="For people: what, where, and what to do.")
    details: list[ErrorDetail] | None = Field(
        None, description="The parameters at fault, where there are any."
    )


class Failure(_Shape):
    """Every answer that is no success."""

    error: ErrorFacts


class Reason(_Shape):
    """One thing that is not well."""

    code: str = Field(description="For programs; stable.", examples=["hub_behind"])
    message: str = Field(description="For people.")


class Workers(_Shape):
    """How many processes carry traffic."""

    wanted: int = Field(ge=1, description="The setting `workers`.", examples=[2])
    serving: int = Field(ge=0, description="Those that serve now.", examples=[2])


class Health(_Shape):
    """Whether all is well. Says nothing about traffic, and needs no token."""

    status: Literal["ok", "degraded"] = Field(
        description="degraded: traffic passes, but see `reasons`."
    )
    reasons: list[Reason] = Field(description="Empty when all is well.")
    workers: Workers


class Version(_Shape):
    """What is running."""

    version: str = Field(description="The product's.", examples=["0.1.0"])
    api: int = Field(description="The API's; rises when something is taken away.")
    proxy: str = Field(
        description='HOST:PORT of the proxy; "" while it is not known.',
        examples=["127.0.0.1:8080"],
    )
    ca_fingerprint: str = Field(description="SHA-256 of the CA's certificate.")


class Settings(_Shape):
    """The settings in effect, as the configuration file nests them."""

    settings: dict[str, JsonValue] = Field(
        description="Secrets are replaced; docs/configuration.md has every key.",
        examples=[{"listen": "127.0.0.1:8080", "tls": {"min_version": "1.2"}}],
    )


class FlowSummary(_Shape):
    """One flow, as a line of a list."""

    id: int = Field(ge=1, le=MAX_ID, description="Rises from flow to flow.")
    created: float = Field(description="When it began: seconds since 1970, UTC.")
    kind: str = Field(description="http; tunnel for bytes that were relayed unread.")
    method: str = Field(examples=["GET"])
    scheme: str = Field(examples=["https"])
    host: str = Field(description="Where it went.", examples=["example.com"])
    port: int = Field(examples=[443])
    target: str = Field(description="Path and query.", examples=["/?q=1"])
    version: str = Field(description="The client's HTTP.", examples=["HTTP/2"])
    status: int | None = Field(description="null: there was no answer.", examples=[200])
    origin_version: str = Field(
        description='The origin\'s HTTP; "" when none was asked.', examples=["HTTP/1.1"]
    )
    request_bytes: int = Field(description="Full size of the request's body.")
    response_bytes: int = Field(description="Full size of the response's body.")
    total_s: float | None = Field(description="Seconds it took; null: it did not end.")
    error: str = Field(description='Why it failed; "" when it did not.')
    tags: list[str] = Field(description="What rules and plugins tagged it with.")
    rule: str = Field(description='The rule that matched last; "" for none.')
    is_marked: bool = Field(description="Kept when old flows are pruned.")


class FlowPage(_Shape):
    """Some flows, newest first."""

    flows: list[FlowSummary]
    next: int | None = Field(
        description="Pass it as `before` for the next page; null: this was the last."
    )


class Head(_Shape):
    """A head, or a trailer section.

    Text is UTF-8, or ISO-8859-1 where it is not UTF-8; `raw` holds the very bytes.
    """

    start: str = Field(
        description='The line before the fields; "" in HTTP/2, where pseudo fields'
        " (:method) stand among `fields`.",
        examples=["GET / HTTP/1.1"],
    )
    fields: list[Pair] = Field(description="[name, value], in order, repeats kept.")
    raw: str = Field(
        description="The bytes as they passed, in base64.",
        json_schema_extra={"contentEncoding": "base64"},
    )


class BodyFacts(_Shape):
    """What is known of a body; its bytes are at /api/flows/{id}/{side}/body."""

    size: int = Field(description="Its full size as it passed.")
    kept: int = Field(description="Bytes of it that are kept, from its beginning.")
    is_replaced: bool = Field(description="A rule or plugin put it in its place.")
    content_type: str = Field(description="The head's field.", examples=["text/html"])
    content_encoding: str = Field(description="The head's field.", examples=["gzip"])


class Message(_Shape):
    """A request or a response."""

    received: Head | None = Field(
        description="As it came; null: none came, or it was redacted."
    )
    sent: Head | None = Field(description="As it was sent on; null: it was not.")
    trailers: list[Pair] = Field(description="Fields after the body.")
    body: BodyFacts


class Tls(_Shape):
    """What a TLS handshake agreed on."""

    version: str = Field(examples=["TLSv1.3"])
    cipher: str
    alpn: str = Field(examples=["h2"])
    sni: str | None
    is_resumed: bool


class Address(_Shape):
    """A host and a port."""

    host: str
    port: int


class Client(Address):
    """Who connected to the proxy."""

    connect: Address | None = Field(description="What CONNECT named.")
    tls: Tls | None


class Origin(Address):
    """The connection that carried the exchange on."""

    version: str = Field(examples=["HTTP/2"])
    tls: Tls | None
    is_reused: bool = Field(description="It had carried another flow before.")


class Change(_Shape):
    """One step of a flow's way: who did what, where."""

    point: str = Field(description="The hook.", examples=["on_request"])
    author: str = Field(description="A rule, a plugin or a listener.")
    what: str = Field(examples=["+ x-seen: yes"])


class PluginCalls(_Shape):
    """A plugin that changed or decided something at a hook of this flow."""

    name: str
    version: str
    digest: str = Field(
        description="The beginning of its module's SHA-256.", examples=["3fa9c01b77de"]
    )
    hook: str = Field(examples=["on_request"])
    calls: int = Field(ge=1)
    fuel: int = Field(ge=0, description="Used by those calls; 0: not known.")
    micros: int = Field(ge=0, description="Microseconds that they took.")


class FlowDetail(FlowSummary):
    """One flow with all that is known of it, but for the bodies' bytes."""

    head_s: float | None = Field(
        description="Seconds to the response's head; null: none came."
    )
    authority: str = Field(description="Host or :authority, as received.")
    client: Client
    origin: Origin | None
    request: Message
    response: Message | None
    informational: list[Head] = Field(description="1xx responses.")
    changes: list[Change] = Field(description="In order: received, each step, sent.")
    plugins: list[PluginCalls] = Field(
        description="Those that changed or decided something, a hook each."
    )
    bytes_up: int = Field(description="Relayed to the origin, of tunnels.")
    bytes_down: int = Field(description="Relayed to the client, of tunnels.")
    messages_up: int = Field(
        description="Messages of a WebSocket from the client, if anyone was shown them."
    )
    messages_down: int = Field(description="The same from the origin.")
    is_redacted: bool = Field(
        description="A listener of on_capture changed what is kept."
    )


class Deleted(_Shape):
    """How many flows are gone."""

    deleted: int = Field(ge=0)


class Mark(_Shape):
    """Whether a flow is kept when old ones are pruned."""

    is_marked: bool = Field(examples=[True], strict=True)
