"""Secrets in header fields: who is shown them, and that a mask is not written back."""

from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.abi.table import FUNCTIONS
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.managing.manager import PluginManager
from int3rceptor.plugins.policy.manifest import Manifest, read_manifest
from int3rceptor.plugins.policy.masking import MASK, SECRET_FIELDS
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from tests.plugins.support import (
    EVERYTHING,
    LogBook,
    Probe,
    guest,
    make_dispatcher,
    make_flow,
)

SECRET = b"tok-5f2c"
WITHOUT = EVERYTHING - {grant_of(Permission.SECRETS_READ)}
READERS = [
    name
    for name, row in FUNCTIONS.items()
    if name.startswith(("host_get_", "host_list_")) and row.params[:1]
]
WRITERS = ("host_set_header", "host_add_header")


def secret_flow() -> Flow:
    """A flow with a secret in each field that carries one, and in trailers."""
    flow = make_flow()
    assert flow.response is not None
    fields = [(name.title(), SECRET) for name in sorted(SECRET_FIELDS)]
    for message in (flow.request, flow.response):
        message.headers = Headers([*fields, *fields, (b"X-Open", b"open")])
        message.body.trailers = Headers(fields)
        message.body.content = b""
    return flow


@pytest.mark.parametrize("point", HookPoint)
@pytest.mark.parametrize("name", READERS)
def test_no_function_that_reads_gives_a_secret_away(
    name: str, point: HookPoint, factory: MakerFactory
) -> None:
    row = FUNCTIONS[name]
    probe, flow = Probe(name, factory, granted=WITHOUT), secret_flow()
    for field in (*SECRET_FIELDS, b"AUTHORIZATION"):
        args: list[int | bytes] = [4096, 4000]
        if len(row.params) == 4:
            args.insert(0, field)
        probe.call(*args, point=point, flow=flow)
        assert SECRET not in probe.read(0, 65_536)


def test_with_a_grant_the_same_functions_do(factory: MakerFactory) -> None:
    probe, flow = Probe("host_get_header", factory), secret_flow()
    assert probe.call(b"cookie", 4096, 99, flow=flow) == len(SECRET)
    assert probe.read(4096, len(SECRET)) == SECRET
    listing = Probe("host_list_trailers", factory)
    length = listing.call(4096, 1000, flow=flow)
    assert listing.read(4096, length).count(SECRET) == len(SECRET_FIELDS)


def test_a_mask_stands_where_a_value_is(factory: MakerFactory) -> None:
    flow = secret_flow()
    one = Probe("host_get_header", factory, granted=WITHOUT)
    assert one.call(b"Cookie", 4096, 99, flow=flow) == len(MASK)
    assert one.read(4096, 3) == MASK
    every = Probe("host_get_header_values", factory, granted=WITHOUT)
    length = every.call(b"COOKIE", 4096, 99, flow=flow)
    assert every.read(4096, length) == encode_list([MASK, MASK])
    # What is absent is absent, and what is no secret is shown.
    assert one.call(b"x-open", 4096, 99, flow=flow) == 4
    flow.request.headers.remove("cookie")
    assert one.call(b"cookie", 4096, 99, flow=flow) == -1
    assert every.call(b"cookie", 4096, 99, flow=flow) == Status.NOT_FOUND


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("value", [MASK, b" *** ", b"***; a=b"])
def test_a_mask_is_not_written_over_a_secret(
    name: str, value: bytes, factory: MakerFactory
) -> None:
    flow, wanted = secret_flow(), secret_flow()
    probe = Probe(name, factory, granted=WITHOUT)
    refused = -1 if name == "host_set_header" else Status.PROTECTED
    assert probe.call(b"Cookie", value, flow=flow) == refused
    assert flow.request.headers == wanted.request.headers
    # A new value can be written without having seen the old one.
    assert probe.call(b"Cookie", b"a=b", flow=flow) == Status.OK
    assert probe.call(b"X-Stars", value, flow=flow) == Status.OK
    granted = Probe(name, factory)
    assert granted.call(b"Cookie", value, flow=flow) == Status.OK


def test_an_answer_is_not_made_of_masks(factory: MakerFactory) -> None:
    fields = encode_list([b"Set-Cookie", MASK])
    probe = Probe("host_respond", factory, granted=WITHOUT)
    assert probe.call(200, fields, b"", flow=make_flow()) == Status.PROTECTED


def test_more_fields_can_be_named(tmp_path: Path) -> None:
    module = tmp_path / "a.wat"
    module.with_suffix(".toml").write_text('secret_headers = ["X-Api-Key"]')
    manifest = read_manifest(module, {}, b"")
    assert manifest.secret_fields == SECRET_FIELDS | {b"x-api-key"}
    module.with_suffix(".toml").write_text('secret_headers = ["a b"]')
    with pytest.raises(PluginError, match="'a b' cannot be the name"):
        read_manifest(module, {}, b"")
    assert Manifest(name="a").secret_fields == SECRET_FIELDS


MASKED_BY_NAME = b"""(module
  (import "env" "host_get_request_header"
    (func $get (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "accept") (data (i32.const 16) "cookie")
  (func $say (param i32) (drop (call $log (i32.const 1) (i32.const 64)
    (call $get (local.get 0) (i32.const 6) (i32.const 64) (i32.const 99)))))
  (func (export "on_request") (result i32)
    (call $say (i32.const 0)) (call $say (i32.const 16)) (i32.const 0)))"""


@pytest.mark.parametrize("is_trusted", [True, False])
@pytest.mark.parametrize("grant", [[], ["secrets.read"]])
async def test_only_the_users_grant_unmasks(
    is_trusted: bool, grant: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.wat"
    path.write_bytes(MASKED_BY_NAME)
    path.with_suffix(".toml").write_text(
        'permissions = ["secrets.read"]\nsecret_headers = ["accept"]'
    )
    dispatcher, book = make_dispatcher(), LogBook()
    settings = {"a": {"grant": grant}} if grant else {}
    manager = PluginManager(dispatcher, log=book, settings=settings)  # type: ignore[arg-type]
    plugin = (await manager.load(path, is_trusted=is_trusted)).current
    assert plugin is not None
    flow = make_flow()
    flow.request.headers["Cookie"] = "a=1"
    await dispatcher.dispatch(HookPoint.REQUEST, flow)
    await manager.aclose()
    assert book.texts() == (["text/html", "a=1"] if grant else ["***", "***"])
    withheld = {str(one) for one in plugin.withheld}
    assert withheld == (set() if grant else {"secrets.read"})


async def test_a_grant_needs_no_asking(tmp_path: Path) -> None:
    path = tmp_path / "a.wat"
    path.write_bytes(guest("original_three"))
    settings = {"a": {"grant": ["secrets.read"]}}
    manager = PluginManager(make_dispatcher(), log=LogBook(), settings=settings)  # type: ignore[arg-type]
    plugin = (await manager.load(path)).current
    assert plugin is not None
    await manager.aclose()
    assert grant_of(Permission.SECRETS_READ) in plugin.granted
