"""Rules from a few lines of TOML, and flows for them to judge."""

from pathlib import Path

from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import ClientInfo, Flow, TlsInfo
from int3rceptor.model.headers import Headers, to_bytes
from int3rceptor.model.message import Request, Response
from int3rceptor.rules.model import Rule
from int3rceptor.rules.parsing import parse_rules

FILE = Path("rules.toml")


def no_file(path: Path, limit: int) -> bytes:
    raise FileNotFoundError(2, "No such file or directory", str(path))


def rules_of(text: str) -> tuple[Rule, ...]:
    return parse_rules(FILE, text, no_file)


def rule_of(body: str, name: str = "one") -> Rule:
    """One rule, of the lines below its name."""
    (rule,) = rules_of(f'[[rules]]\nname = "{name}"\n{body}\n')
    return rule


def a_flow(
    *,
    host: str = "a.test",
    connect_host: str | None = None,
    sni: str | None = None,
    authority: str | None = None,
    method: str = "GET",
    target: bytes = b"/path",
    port: int = 443,
    scheme: str = "https",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    response: Response | None = None,
) -> Flow:
    """A flow by these names; those not given are `host`."""
    tls = TlsInfo(version="TLSv1.3", cipher="any", alpn="", sni=sni or host)
    authority = host if authority is None else authority
    return Flow(
        client=ClientInfo(
            address=("127.0.0.1", 1), connect_host=connect_host or host, tls=tls
        ),
        request=Request(
            method=method,
            scheme=scheme,
            host=host,
            port=port,
            target=target,
            authority=authority,
            version="HTTP/1.1",
            headers=Headers([(b"Host", to_bytes(authority)), *headers]),
        ),
        response=response,
    )


def is_heard(hooks: Dispatcher, point: HookPoint) -> bool:
    """Whether a flow that begins now is asked about at `point`."""
    return hooks.is_heard(point, a_flow())


def authored(flow: Flow, author: str = "rule one") -> list[str]:
    """What the flow's record says of one author."""
    return [change.what for change in flow.changes if change.author == author]


def rules_file(folder: Path, text: str) -> Path:
    path = folder / "rules.toml"
    path.write_text(text)
    return path


def block_rule(name: str, host: str) -> str:
    return f'[[rules]]\nname = "{name}"\nmatch = {{ host = "{host}" }}\nblock = true\n'
