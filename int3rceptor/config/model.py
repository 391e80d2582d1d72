"""The typed configuration: every setting with its default, bounds and meaning.

Also the library's constructor: `Config(listen="127.0.0.1:0", data_dir=path)`. It reads
no file and no environment: `config.sources` does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_origin

from int3rceptor.config.problems import located
from int3rceptor.config.tables import (
    JsonValue,
    Setting,
    Table,
    described,
    made,
    setting,
)
from int3rceptor.config.values import (
    address,
    address_or_off,
    default_data_dir,
    host_pattern,
    parse_address,
)
from int3rceptor.errors import SettingError

DAY_S = 86_400
MIB = 1024 * 1024

MAX_WORKERS = 64
"""Proxy processes: one a core, and few machines have more; each takes some 60 MB."""


def _seconds(default: float, description: str) -> float:
    return setting(default, description, above=0, most=DAY_S)


def _data_dir() -> Path:
    try:
        return default_data_dir()
    except ValueError as error:
        raise SettingError("data_dir", str(error)) from None


@dataclass(slots=True, frozen=True, kw_only=True)
class TlsConfig(Table):
    """How TLS is spoken with clients, and which connections are left alone."""

    passthrough: Sequence[str] = setting(
        (),
        "Hosts whose TLS is relayed unread, as globs with an optional port:"
        " `*.bank.example`, `pinned.example:443`.",
        check=host_pattern,
    )
    key_type: Literal["ecdsa", "rsa"] = setting(
        "ecdsa",
        "Key of a newly made CA: ECDSA P-256 or RSA 3072.",
    )
    client_http2: Literal["probe", "always", "never"] = setting(
        "probe",
        "Whether clients are offered HTTP/2: only where the origin speaks"
        " it (`probe`), `always`, or `never`.",
    )
    min_version: Literal["1.2", "1.3"] = setting(
        "1.2", "Oldest TLS version that clients may use."
    )


@dataclass(slots=True, frozen=True, kw_only=True)
class UpstreamConfig(Table):
    """How origins are reached."""

    http2: Literal["mirror", "always", "never"] = setting(
        "mirror",
        "Whether origins are offered HTTP/2: when the client speaks it"
        " (`mirror`), `always`, or `never`.",
    )
    connect_timeout_s: float = _seconds(
        10.0, "Longest wait for a name to resolve and a connection to open."
    )
    tls_timeout_s: float = _seconds(
        10.0, "Longest wait for a TLS handshake with an origin."
    )
    first_byte_timeout_s: float = _seconds(
        120.0,
        "Longest wait for the first byte of an answer, once the request is sent.",
    )
    idle_timeout_s: float = _seconds(
        120.0, "Longest silence of an origin in the middle of an answer."
    )
    max_connections: int = setting(
        1_000,
        "Most origin connections at once, of each worker.",
        least=1,
        most=100_000,
    )
    max_connections_per_origin: int = setting(
        128,
        "Most connections to one origin at once, of each worker.",
        least=1,
        most=10_000,
    )
    idle_expiry_s: float = _seconds(
        60.0, "How long an unused origin connection is kept for reuse."
    )


@dataclass(slots=True, frozen=True, kw_only=True)
class LimitsConfig(Table):
    """What clients may use up."""

    max_connections: int = setting(
        1_000,
        "Most client connections at once, of each worker.",
        least=1,
        most=100_000,
    )
    client_idle_s: float = _seconds(
        120.0,
        "How long a client may be idle: between requests, or in a body that it sends "
        "or takes.",
    )
    head_timeout_s: float = _seconds(
        30.0, "Longest wait for the rest of a request head once it began."
    )
    silent_client_ms: int = setting(
        500,
        "How long a client may be silent after CONNECT before the origin is"
        " dialled to see whether it speaks first.",
        least=10,
        most=60_000,
    )
    drain_s: float = _seconds(
        10.0, "How long exchanges may still run after a stop is asked for."
    )
    max_buffered_body_bytes: int = setting(
        8 * 1024 * 1024,
        "Largest body made whole for a plugin or function that needs it"
        " whole; larger ones stream on unchanged.",
        least=0,
        most=1024 * 1024 * 1024,
    )


@dataclass(slots=True, frozen=True, kw_only=True)
class StoreConfig(Table):
    """What is kept of the flows, and how much of it."""

    max_body_bytes: int = setting(
        8 * MIB,
        "Most bytes kept of one body; longer ones are cut, and marked with"
        " their full size.",
        least=0,
        most=1024 * MIB,
    )
    max_journal_bytes: int = setting(
        1024 * MIB,
        "Most bytes waiting in the journal; past it, flows are counted but"
        " not kept until the hub has caught up.",
        least=16 * MIB,
    )
    max_bytes: int = setting(
        10 * 1024 * MIB,
        "Largest size of the store; past it the oldest flows that are not"
        " marked are deleted.",
        least=16 * MIB,
    )
    max_age_days: float = setting(
        90.0,
        "Flows older than this are deleted, unless they are marked.",
        above=0,
        most=36_500,
    )


@dataclass(slots=True, frozen=True, kw_only=True)
class ControlConfig(Table):
    """The control port's own limits."""

    allow_remote: bool = setting(
        False,
        "Let the control port listen on an address that other machines can"
        " reach. Whoever has the token then sees and changes everything.",
    )
    allowed_hosts: Sequence[str] = setting(
        (),
        "Names, as globs, that requests to the control port may be for,"
        " beside loopback addresses and the address that it listens on.",
        check=host_pattern,
    )
    max_requests_per_s: int = setting(
        200,
        "Most API requests a second from one client address.",
        least=1,
        most=100_000,
    )


@dataclass(slots=True, frozen=True, kw_only=True)
class Config(Table):
    """All settings of one proxy. Raises ConfigError, one line, on any bad value."""

    listen: str = setting(
        "127.0.0.1:8080",
        "Proxy address, HOST:PORT; IPv6 in brackets; port 0 takes a free one.",
        check=address,
    )
    control: str = setting(
        "127.0.0.1:8081",
        "Address of the control port, HOST:PORT, or `off`.",
        check=address_or_off,
    )
    data_dir: Path = made(
        _data_dir,
        "Directory of the CA, the flows that are kept, plugins, rules, the"
        " control port's token and int3rceptor.toml; by default the platform's user"
        " data directory.",
    )
    plugin: Sequence[Path] = setting(
        (),
        "Plugins (.wasm or .wat) to load beside those in DATA_DIR/plugins.",
    )
    rules: Sequence[Path] = setting(
        (),
        "Rule files (TOML) to load beside those in DATA_DIR/rules.",
    )
    upstream_ca: Sequence[Path] = setting(
        (),
        "PEM files with CA certificates to trust for origins, beside the system's.",
    )
    insecure_upstream: bool = setting(
        False, "Do not verify the certificates of origins. Dangerous."
    )
    no_store: bool = setting(False, "Keep no flows on disk.")
    workers: int = setting(
        1,
        "Proxy processes that share the port: at most one for each core.",
        least=1,
        most=MAX_WORKERS,
    )
    quiet: bool = setting(
        False,
        "Print the ready line, the control port's, plugin lines and warnings only.",
    )
    verbose: bool = setting(
        False, "Log debug lines, and tracebacks of unexpected errors."
    )
    log_format: Literal["text", "json"] = setting(
        "text", "Form of the live view and the log: text, or JSON lines."
    )
    tls: TlsConfig = made(TlsConfig)
    upstream: UpstreamConfig = made(UpstreamConfig)
    limits: LimitsConfig = made(LimitsConfig)
    store: StoreConfig = made(StoreConfig)
    control_port: ControlConfig = made(ControlConfig)
    plugins: Mapping[str, Mapping[str, JsonValue]] = made(
        dict,
        "One table per plugin, `[plugins.NAME]`, over the manifest NAME.toml beside its"
        " module, key by key; docs/plugins/settings.md has the keys.",
    )

    @property
    def listen_address(self) -> tuple[str, int]:
        """`listen` as (host, port), the host without brackets."""
        return parse_address(self.listen)

    @property
    def control_address(self) -> tuple[str, int] | None:
        """`control` as (host, port), the host without brackets; None when off."""
        return None if self.control == "off" else parse_address(self.control)

    def __post_init__(self) -> None:
        Table.__post_init__(self)  # super() does not know classes with slots
        if self.quiet and self.verbose:
            raise SettingError("quiet", "cannot be used together with verbose")


def read_config(
    values: Mapping[str, object], places: Mapping[str, str] | None = None
) -> Config:
    """All settings from a mapping with tables in it.

    Raises ConfigError in one line; `places` says where each dotted key was set: a line
    of a file, a flag.
    """
    try:
        return Config.of(values)
    except SettingError as error:
        known = [*(key.path for key in keys()), *TABLES]
        raise located(error, places=places or {}, known=known) from None


@dataclass(slots=True, frozen=True, kw_only=True)
class Key:
    """One setting: its dotted path as in the file, and its definition."""

    path: str
    kind: object
    setting: Setting

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return get_origin(self.kind) is Sequence

    @property
    def is_path(self) -> bool:
        """Whether its values are paths of files or directories."""
        return self.path in PATH_KEYS


TABLES = ("tls", "upstream", "limits", "store", "control_port")
PATH_KEYS = frozenset({"data_dir", "plugin", "rules", "upstream_ca"})


def keys(table: type[Table] = Config, prefix: str = "") -> Iterator[Key]:
    """Every setting, in the order of the documentation; tables are walked into."""
    for name, kind, one in described(table):
        if isinstance(kind, type) and issubclass(kind, Table):
            yield from keys(kind, f"{prefix}{name}.")
        else:
            yield Key(path=f"{prefix}{name}", kind=kind, setting=one)
