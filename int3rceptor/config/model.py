"""The typed configuration: every setting with its default, bounds and meaning.

Also the library's constructor: `Config(listen="127.0.0.1:0", data_dir=path)`. It reads
no file and no environment: `config.sources` does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from platformdirs import user_data_path
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo

from int3rceptor.config.problems import first_problem
from int3rceptor.config.values import (
    absolute_path,
    address,
    address_or_off,
    host_pattern,
    parse_address,
)
from int3rceptor.errors import ConfigError

Item = TypeVar("Item")
Address = Annotated[str, AfterValidator(address)]
ControlAddress = Annotated[str, AfterValidator(address_or_off)]
HostPattern = Annotated[str, AfterValidator(host_pattern)]
UserPath = Annotated[Path, AfterValidator(absolute_path)]
# Given as any sequence, kept as a tuple: a frozen value holds no list.
Several = Annotated[Sequence[Item], AfterValidator(tuple)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]

MIB = 1024 * 1024

LATER_ONLY = {
    "workers": "only 1 in this release; more processes come with a later one",
}
"""Settings of the command line contract whose other values do not work yet."""


class _Table(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", validate_default=False
    )


class TlsConfig(_Table):
    """How TLS is spoken with clients, and which connections are left alone."""

    passthrough: Several[HostPattern] = Field(
        (),
        description="Hosts whose TLS is relayed unread, as globs with an optional port:"
        " `*.bank.example`, `pinned.example:443`.",
    )
    key_type: Literal["ecdsa", "rsa"] = Field(
        "ecdsa",
        description="Key of a newly made CA: ECDSA P-256 or RSA 3072.",
    )
    client_http2: Literal["probe", "always", "never"] = Field(
        "probe",
        description="Whether clients are offered HTTP/2: only where the origin speaks"
        " it (`probe`), `always`, or `never`.",
    )
    min_version: Literal["1.2", "1.3"] = Field(
        "1.2", description="Oldest TLS version that clients may use."
    )


class UpstreamConfig(_Table):
    """How origins are reached."""

    http2: Literal["mirror", "always", "never"] = Field(
        "mirror",
        description="Whether origins are offered HTTP/2: when the client speaks it"
        " (`mirror`), `always`, or `never`.",
    )
    connect_timeout_s: Seconds = Field(
        10.0, description="Longest wait for a name to resolve and a connection to open."
    )
    tls_timeout_s: Seconds = Field(
        10.0, description="Longest wait for a TLS handshake with an origin."
    )
    first_byte_timeout_s: Seconds = Field(
        120.0,
        description="Longest wait for the first byte of an answer, once the request is"
        " sent.",
    )
    idle_timeout_s: Seconds = Field(
        120.0, description="Longest silence of an origin in the middle of an answer."
    )
    max_connections: int = Field(
        1_000, ge=1, le=100_000, description="Most origin connections at once."
    )
    max_connections_per_origin: int = Field(
        128, ge=1, le=10_000, description="Most connections to one origin at once."
    )
    idle_expiry_s: Seconds = Field(
        60.0, description="How long an unused origin connection is kept for reuse."
    )


class LimitsConfig(_Table):
    """What clients may use up."""

    max_connections: int = Field(
        1_000, ge=1, le=100_000, description="Most client connections at once."
    )
    client_idle_s: Seconds = Field(
        120.0,
        description="How long a client connection may stay idle between requests.",
    )
    head_timeout_s: Seconds = Field(
        30.0, description="Longest wait for the rest of a request head once it began."
    )
    silent_client_ms: int = Field(
        500,
        ge=10,
        le=60_000,
        description="How long a client may be silent after CONNECT before the origin is"
        " dialled to see whether it speaks first.",
    )
    drain_s: Seconds = Field(
        10.0, description="How long exchanges may still run after a stop is asked for."
    )
    max_buffered_body_bytes: int = Field(
        8 * 1024 * 1024,
        ge=0,
        le=1024 * 1024 * 1024,
        description="Largest body made whole for a plugin or function that needs it"
        " whole; larger ones stream on unchanged.",
    )


class StoreConfig(_Table):
    """What is kept of the flows, and how much of it."""

    max_body_bytes: int = Field(
        8 * MIB,
        ge=0,
        le=1024 * MIB,
        description="Most bytes kept of one body; longer ones are cut, and marked with"
        " their full size.",
    )
    max_journal_bytes: int = Field(
        1024 * MIB,
        ge=16 * MIB,
        description="Most bytes waiting in the journal; past it, flows are counted but"
        " not kept until the hub has caught up.",
    )
    max_bytes: int = Field(
        10 * 1024 * MIB,
        ge=16 * MIB,
        description="Largest size of the store; past it the oldest flows that are not"
        " marked are deleted.",
    )
    max_age_days: float = Field(
        90.0,
        gt=0,
        le=36_500,
        allow_inf_nan=False,
        description="Flows older than this are deleted, unless they are marked.",
    )


class ControlConfig(_Table):
    """The control port's own limits."""

    allow_remote: bool = Field(
        False,
        description="Let the control port listen on an address that other machines can"
        " reach. Whoever has the token then sees and changes everything.",
    )
    allowed_hosts: Several[HostPattern] = Field(
        (),
        description="Names, as globs, that requests to the control port may be for,"
        " beside loopback addresses and the address that it listens on.",
    )
    max_requests_per_s: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Most API requests a second from one client address.",
    )


class Config(_Table):
    """All settings of one proxy. Raises ConfigError, one line, on any bad value."""

    listen: Address = Field(
        "127.0.0.1:8080",
        description="Proxy address, HOST:PORT; IPv6 in brackets; port 0 takes a free"
        " one.",
    )
    control: ControlAddress = Field(
        "127.0.0.1:8081",
        description="Address of the control port, HOST:PORT, or `off`.",
    )
    data_dir: UserPath = Field(
        default_factory=lambda: user_data_path("int3rceptor", appauthor=False),
        description="Directory of the CA, the flows that are kept, plugins, rules, the"
        " control port's token and int3rceptor.toml; by default the platform's user"
        " data directory.",
    )
    plugin: Several[UserPath] = Field(
        (),
        description="Plugins (.wasm or .wat) to load beside those in DATA_DIR/plugins.",
    )
    rules: Several[UserPath] = Field(
        (),
        description="Rule files (TOML) to load beside those in DATA_DIR/rules.",
    )
    upstream_ca: Several[UserPath] = Field(
        (),
        description="PEM files with CA certificates to trust for origins, beside the"
        " system's.",
    )
    insecure_upstream: bool = Field(
        False, description="Do not verify the certificates of origins. Dangerous."
    )
    no_store: bool = Field(False, description="Keep no flows on disk.")
    workers: int = Field(
        1, description="Proxy processes sharing the port; only 1 in this release."
    )
    quiet: bool = Field(
        False,
        description="Print the ready line, the control port's, plugin lines and"
        " warnings only.",
    )
    verbose: bool = Field(
        False, description="Log debug lines, and tracebacks of unexpected errors."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Form of the live view and the log: text, or JSON lines."
    )
    tls: TlsConfig = Field(default_factory=TlsConfig)
    upstream: UpstreamConfig = Field(default_factory=UpstreamConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    store: StoreConfig = Field(default_factory=StoreConfig)
    control_port: ControlConfig = Field(default_factory=ControlConfig)
    plugins: Mapping[str, Mapping[str, JsonValue]] = Field(
        default_factory=dict,
        description="One table per plugin, `[plugins.NAME]`, over the manifest"
        " NAME.toml beside its module, key by key; docs/plugins.md has the keys.",
    )

    @property
    def listen_address(self) -> tuple[str, int]:
        """`listen` as (host, port), the host without brackets."""
        return parse_address(self.listen)

    @property
    def control_address(self) -> tuple[str, int] | None:
        """`control` as (host, port), the host without brackets; None when off."""
        return None if self.control == "off" else parse_address(self.control)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.workers != 1:
            raise ValueError(f"workers: {LATER_ONLY['workers']}")
        if self.quiet and self.verbose:
            raise ValueError("quiet: cannot be used together with verbose")
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _one_line(
        cls,
        data: object,
        handler: ModelWrapValidatorHandler[Self],
        info: ValidationInfo[Mapping[str, str] | None],
    ) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            # The context says where each key was set: a line of a file, a flag.
            known = [*(key.path for key in keys()), *TABLES]
            line = first_problem(error, places=info.context or {}, known=known)
            raise ConfigError(line) from None


@dataclass(slots=True, frozen=True, kw_only=True)
class Key:
    """One setting: its dotted path as in the file, and its definition."""

    path: str
    field: FieldInfo

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return isinstance(self.field.default, tuple)

    @property
    def is_path(self) -> bool:
        """Whether its values are paths of files or directories."""
        return self.path in PATH_KEYS


TABLES = ("tls", "upstream", "limits", "store", "control_port")
PATH_KEYS = frozenset({"data_dir", "plugin", "rules", "upstream_ca"})


def keys(table: type[BaseModel] = Config, prefix: str = "") -> Iterator[Key]:
    """Every setting, in the order of the documentation; tables are walked into."""
    for name, field in table.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, _Table):
            yield from keys(kind, f"{prefix}{name}.")
        else:
            yield Key(path=f"{prefix}{name}", field=field)
