"""The hostile guests in a running proxy: their files, and the settings for them."""

from pathlib import Path

from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.policy.permissions import SCOPED, Permission
from tests.support.hostile import hostile
from tests.support.hostile.rows import (
    Decides,
    Hostile,
    Loses,
    NotStarted,
    Refused,
)
from tests.support.trying import called, imported

VICTIM = "localhost"
"""Whom those are asked about that end exchanges or change bodies by right."""

BODY_CHANGERS = frozenset({"chunk_growth", "chunk_hoard"})
"""They change bodies, which they were granted; other tests have them."""

CHANGERS = frozenset({"every_pointer"})
"""They change requests, which they were granted too."""

GOSSIPS = ("gossip_a", "gossip_b", "gossip_c")
"""Three that answer each message with a hundred."""


def gossip() -> str:
    """Tells on one topic: once at a request, a hundred times when it hears."""
    topic = '(data (i32.const 0) "gossip")'
    tell = called("host_publish", (0, 6, 0, 6))
    return f"""(module
      {imported(["host_publish", "host_subscribe"])}
      (memory (export "memory") 1) {topic}
      (func (export "plugin_init") (result i32) {called("host_subscribe", (0, 6))})
      (func (export "on_request") (result i32) (drop {tell}) (i32.const 0))
      (func (export "on_message") (result i32) (local $n i32)
        (loop $again
          (drop {tell})
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $n) (i32.const 100))))
        (i32.const 0)))"""


def live() -> list[Hostile]:
    """Those of the table that are put into the folder of plugins. What has a folder or
    the network meets only what is its own."""
    return [one for one in hostile() if one.name not in BODY_CHANGERS and not one.reach]


def in_service() -> set[str]:
    """The names of those that are loaded and come up."""
    broken = (Refused, NotStarted)
    return {one.name for one in live() if not isinstance(one.must, broken)} | {*GOSSIPS}


def faulty() -> list[str]:
    """Those that are in quarantine after some flows."""
    return [one.name for one in live() if isinstance(one.must, Loses)]


def put_all(folder: Path) -> None:
    """Their files, all there at once."""
    folder.mkdir(exist_ok=True)
    for one in live():
        suffix = "wat" if one.is_text else "wasm"
        (folder / f"{one.name}.{suffix}").write_bytes(one.module)
    for name in GOSSIPS:
        (folder / f"{name}.wat").write_text(gossip())


def settings(*, others: str = "*", victim: str = VICTIM) -> str:
    """The user's configuration: each is granted all that there is, if it is granted.

    Those that end exchanges by right are asked about `victim`, all others about
    `others`.
    """
    tables = [_table(one, others, victim) for one in live()]
    tables += [_granted(name) + _scope(name, others) for name in GOSSIPS]
    return "".join(tables)


def _scope(name: str, host: str) -> str:
    return f'[plugins.{name}.scope]\nhosts = ["{host}"]\n'


def _table(one: Hostile, others: str, victim: str) -> str:
    table = _granted(one.name) if one.is_granted else ""
    ends = isinstance(one.must, Decides) or one.name in CHANGERS
    table += _scope(one.name, victim if ends else others)
    if one.limits is not None:
        limits, usual = one.limits, Limits()
        table += f"[plugins.{one.name}.limits]\n" + "".join(
            f"{key} = {getattr(limits, key)}\n"
            for key in ("fuel", "host_calls", "host_bytes")
            if getattr(limits, key) != getattr(usual, key)
        )
    return table


NOT_GRANTED = {Permission.FILES, Permission.NETWORK, Permission.NETWORK_PRIVATE}
"""What reaches out of the proxy has tests of its own."""


def _granted(name: str) -> str:
    given = [one for one in Permission if one not in NOT_GRANTED]
    grants = [f"{one.value}:*" if one in SCOPED else one.value for one in given]
    scoped = [one for one in grants if ":" in one]
    return f"[plugins.{name}]\npermissions = {scoped}\ngrant = {grants}\n"
