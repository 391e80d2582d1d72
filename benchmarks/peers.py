"""Who we are measured against: where each peer is installed, and how it is started.

Each is set up as its documentation recommends for interception, verifies origins by the
benchmark's CA alone, and writes no line of its own per request. The relay stands among
them: it is no proxy, but what the event loop and TLS alone would cost. Knows no load.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import trustme

from benchmarks.measure import BenchmarkError
from benchmarks.origin import ADDRESS

HERE = Path(__file__).parent
PYTHON_PEERS = HERE / ".venv-peers" / "bin"
NODE_PEERS = HERE / ".node-peers"
GO_PEER = HERE / ".goproxy" / "goproxy"
MITMDUMP, PROXY_PY, SQUID, MOCKTTP = "mitmdump", "proxy.py", "squid", "mockttp"
GOPROXY, SSLSPLIT, RELAY = "goproxy", "sslsplit", "relay"
SQUID_CERTGEN = Path("/usr/lib/squid/security_file_certgen")
SQUID_USER = "proxy"  # Debian's
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
# proxy.py drops a silent client after 10 s by default: tunnels here may be idle longer.
PROXY_PY_TIMEOUT_S = 3600

SQUID_CONFIG = """\
http_port {address}:{port} ssl-bump generate-host-certificates=on \
dynamic_cert_mem_cache_size=64MB tls-cert={folder}/ca-and-key.pem
sslcrtd_program {certgen} -s {folder}/certificates -M 64MB
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
tls_outgoing_options cafile={folder}/origin-ca.pem
acl load src 127.0.0.0/8
http_access allow load
# By default it takes the Upgrade out of requests.
http_upgrade_request_protocols websocket allow all
http_access deny all
cache deny all
access_log none
cache_log {folder}/cache.log
cache_store_log none
pid_filename {folder}/squid.pid
coredump_dir {folder}
{user}
max_filedescriptors 16384
# Idle tunnels are measured, not timed out.
request_start_timeout 1 hour
client_idle_pconn_timeout 1 hour
pconn_timeout 1 hour
shutdown_lifetime 1 second
visible_hostname localhost
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a peer is started with: a private folder, a port, the CA of origins.

    `origin_port` is for the one that must be told where all its connections go,
    `options` for mitmdump.
    """

    folder: Path
    port: int
    origin_ca: Path
    origin_port: int
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer. `ca_name` is the file in its folder with the CA that clients trust.

    `cannot` maps a kind of scenario, or the client's HTTP version, to the reason.
    `share` is the part of a scenario's requests that it gets: a peer that is many times
    slower would else take most of the run, for a figure that a part gives as well.
    """

    name: str
    find: Callable[[], str]
    version: Callable[[], str]
    command: Callable[[Place], list[str]]
    ca_name: str = "ca.pem"
    cannot: Mapping[str, str] = field(default_factory=dict)
    takes_connect: bool = True
    share: float = 1.0


def _program(path: Path | str | None, hint: str) -> str:
    """`path` as text, or an error that says what to do."""
    if path is None or not Path(path).exists():
        raise BenchmarkError(f"not installed: {hint}")
    return str(path)


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SBIN}")


def _said(command: list[str], pattern: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, ran.stdout + ran.stderr)
    return found[1] if found else "unknown"


def _find_mitmdump() -> str:
    return _program(PYTHON_PEERS / "mitmdump", "`make bench-peers` (Python >= 3.12)")


def _mitmdump_version() -> str:
    command = [_find_mitmdump(), "--version"]
    parts = [
        _said(command, rf"{key}:\s*(.+)") for key in ("Mitmproxy", "Python", "OpenSSL")
    ]
    return "{}, Python {}, {}".format(*parts)


def _mitmdump_command(place: Place) -> list[str]:
    settings = [
        f"confdir={place.folder}",
        # It then trusts this CA alone and need not load the usual hundred.
        f"ssl_verify_upstream_trusted_ca={place.origin_ca}",
    ]
    settings += place.options
    command = [_find_mitmdump(), "-q", "--listen-host", ADDRESS]
    command += ["--listen-port", str(place.port)]
    return [*command, *(part for each in settings for part in ("--set", each))]


def _find_proxy_py() -> str:
    _program(_which("openssl"), "proxy.py runs openssl for each certificate")
    return _program(PYTHON_PEERS / "proxy", "`make bench-peers` (Python >= 3.12)")


def _proxy_py_command(place: Place) -> list[str]:
    _write_authority(place.folder)
    _write_key(place.folder / "leaf.key")
    folder = place.folder
    options = {
        "--hostname": ADDRESS,
        "--port": str(place.port),
        # One core is there for it, so one worker; it would take one per core.
        "--num-acceptors": "1",
        "--num-workers": "1",
        "--ca-cert-file": f"{folder}/ca.pem",
        "--ca-key-file": f"{folder}/ca.key",
        "--ca-signing-key-file": f"{folder}/leaf.key",
        "--ca-cert-dir": f"{folder}/leaves",
        "--ca-file": str(place.origin_ca),
        "--data-dir": f"{folder}/data",
        "--timeout": str(PROXY_PY_TIMEOUT_S),
        "--log-level": "ERROR",
    }
    return [_find_proxy_py(), *(part for pair in options.items() for part in pair)]


def _find_squid() -> str:
    hint = "the Debian package squid-openssl (the package squid cannot intercept)"
    _program(SQUID_CERTGEN, hint)
    return _program(_which("squid"), hint)


def _squid_command(place: Place) -> list[str]:
    squid, folder = _find_squid(), place.folder
    _write_authority(folder)
    pair = (folder / "ca.pem").read_bytes() + (folder / "ca.key").read_bytes()
    (folder / "ca-and-key.pem").write_bytes(pair)
    shutil.copy(place.origin_ca, folder / "origin-ca.pem")
    made = subprocess.run(
        [str(SQUID_CERTGEN), "-c", "-s", str(folder / "certificates"), "-M", "64MB"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise BenchmarkError(f"squid's certificate store: {made.stderr or made.stdout}")
    (folder / "squid.conf").write_text(
        SQUID_CONFIG.format(
            address=ADDRESS,
            port=place.port,
            folder=folder,
            certgen=SQUID_CERTGEN,
            user=f"cache_effective_user {SQUID_USER}" if os.geteuid() == 0 else "",
        )
    )
    if os.geteuid() == 0:  # as root it refuses to run, so all must be its user's
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, SQUID_USER)
    # A name of its own, or its shared memory would be that of another squid here.
    name = f"bench{place.port}"
    return [squid, "-n", name, "-N", "-f", str(folder / "squid.conf")]


def _find_mockttp() -> str:
    _program(_which("node"), "Node.js")
    package = NODE_PEERS / "node_modules" / "mockttp" / "package.json"
    return _program(package, "`make bench-peers` (Node.js >= 20 and npm)")


def _mockttp_command(place: Place) -> list[str]:
    _find_mockttp()
    script = str(HERE / "install" / "mockttp.cjs")
    arguments = [str(NODE_PEERS), str(place.port), str(place.folder)]
    return [_which("node") or "node", script, *arguments, str(place.origin_ca)]


def _mockttp_version() -> str:
    text = Path(_find_mockttp()).read_text()
    found = re.search(r'"version": "([^"]+)"', text)
    node = _said([_which("node") or "node", "--version"], r"(\S+)")
    return f"{found[1] if found else 'unknown'}, Node.js {node}"


def _find_goproxy() -> str:
    return _program(GO_PEER, "`make bench-peers` (Go >= 1.23 and its module proxy)")


def _goproxy_command(place: Place) -> list[str]:
    _write_authority(place.folder)
    folder = str(place.folder)
    return [_find_goproxy(), str(place.port), folder, str(place.origin_ca)]


def _find_sslsplit() -> str:
    return _program(_which("sslsplit"), "the Debian package sslsplit")


def _sslsplit_command(place: Place) -> list[str]:
    _write_authority(place.folder)
    folder = place.folder
    # "ssl" relays bytes. Its "https" mode closes each connection after one answer.
    forward = ["ssl", ADDRESS, str(place.port), ADDRESS, str(place.origin_port)]
    # It has no option for a CA of origins; OpenSSL reads this variable.
    command = ["env", f"SSL_CERT_FILE={place.origin_ca}", _find_sslsplit()]
    command += ["-o", "VerifyPeer=yes"]
    command += ["-k", f"{folder}/ca.key", "-c", f"{folder}/ca.pem"]
    return [*command, *forward]


def _relay_command(place: Place) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.relay", "--port", str(place.port)]
    command += ["--folder", str(place.folder), "--origin-ca", str(place.origin_ca)]
    return command


def _write_authority(folder: Path) -> None:
    """A CA as their documentations make one: RSA, which is also mitmproxy's default."""
    authority = trustme.CA(
        organization_name="Benchmark peer CA", key_type=trustme.KeyType.RSA
    )
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.private_key_pem.write_to_path(folder / "ca.key")


def _write_key(path: Path) -> None:
    key = trustme.CA(key_type=trustme.KeyType.RSA).private_key_pem
    key.write_to_path(path)


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            name=RELAY,
            find=lambda: sys.executable,
            version=lambda: f"uvloop {version('uvloop')}",
            command=_relay_command,
            cannot={
                "plain": "relays tunnels only",
                "first": "has one leaf for all",
            },
        ),
        Peer(
            name=MITMDUMP,
            find=_find_mitmdump,
            version=_mitmdump_version,
            command=_mitmdump_command,
            ca_name="mitmproxy-ca-cert.pem",
            share=0.25,
        ),
        Peer(
            name=PROXY_PY,
            find=_find_proxy_py,
            version=lambda: _said([_find_proxy_py(), "--version"], r"(\S+)"),
            command=_proxy_py_command,
            cannot={"h2": "speaks no HTTP/2"},
        ),
        Peer(
            name=SQUID,
            find=_find_squid,
            version=lambda: _said([_find_squid(), "-v"], r"Version (\S+)"),
            command=_squid_command,
            cannot={"h2": "speaks no HTTP/2 to clients"},
        ),
        Peer(
            name=GOPROXY,
            find=_find_goproxy,
            version=lambda: _said([_find_goproxy(), "version"], r"(.+)"),
            command=_goproxy_command,
            cannot={"h2": "speaks no HTTP/2 to intercepted clients"},
        ),
        Peer(
            name=MOCKTTP,
            find=_find_mockttp,
            version=_mockttp_version,
            command=_mockttp_command,
            share=0.5,
        ),
        Peer(
            name=SSLSPLIT,
            find=_find_sslsplit,
            version=lambda: _said([_find_sslsplit(), "-V"], r"SSLsplit (\S+)"),
            command=_sslsplit_command,
            cannot={
                "plain": "splits TLS only",
                "h2": "offers clients no HTTP/2",
                "first": "is told one origin, whose leaf serves all",
            },
            takes_connect=False,
        ),
    )
}
