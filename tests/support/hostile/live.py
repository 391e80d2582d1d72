"""The hostile guests in a running proxy: their files, and the settings for them."""

from pathlib import Path

from int3rceptor.plugins.manifest import Limits
from int3rceptor.plugins.permissions import SCOPED, Permission
from tests.support.hostile import hostile
from tests.support.hostile.rows import Decides, Hostile, Loses
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
    """Those of the table that are put into the folder of plugins."""
    return [one for one in hostile() if one.name not in BODY_CHANGERS]


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


def settings() -> str:
    """The user's configuration: each is granted all that there is, if it is granted."""
    tables = [_table(one) for one in live()]
    tables += [_granted(name) for name in GOSSIPS]
    return "".join(tables)


def _table(one: Hostile) -> str:
    table = _granted(one.name) if one.is_granted else ""
    if isinstance(one.must, Decides) or one.name in CHANGERS:
        table += f'[plugins.{one.name}.scope]\nhosts = ["{VICTIM}"]\n'
    if one.limits is not None:
        limits, usual = one.limits, Limits()
        table += f"[plugins.{one.name}.limits]\n" + "".join(
            f"{key} = {getattr(limits, key)}\n"
            for key in ("fuel", "host_calls", "host_bytes")
            if getattr(limits, key) != getattr(usual, key)
        )
    return table


def _granted(name: str) -> str:
    grants = ", ".join(
        f'"{one.value}:*"' if one in SCOPED else f'"{one.value}"' for one in Permission
    )
    scoped = ", ".join(f'"{one.value}:*"' for one in Permission if one in SCOPED)
    return f"[plugins.{name}]\npermissions = [{scoped}]\ngrant = [{grants}]\n"
