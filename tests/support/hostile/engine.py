"""Guests that try the engine: computing, memory, tables, starting."""

from collections.abc import Iterator

from int3rceptor.plugins.engine.boundary import FaultKind
from tests.support.hostile.rows import (
    FUEL,
    OUTSIDE,
    PAGE,
    TRAP,
    GoesOn,
    Hostile,
    Loses,
    NotStarted,
    rows,
)
from tests.support.trying import hook


def computing() -> Iterator[Hostile]:
    tail = "(func $f (result i32) (return_call $f))"
    nan = "(drop (i32.trunc_f64_s (f64.const nan)))"
    overflow = "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))"
    frames = f"(func $f (local {' i64' * 1000}) (call $f))"
    return rows(
        ("endless_loop", "computes for ever", FUEL),
        (
            "endless_tail_calls",
            "calls itself for ever without a stack",
            FUEL,
            hook("(drop (call $f))", tail),
        ),
        ("endless_recursion", "calls itself for ever", Loses(FaultKind.STACK)),
        (
            "large_frames",
            "recurs with 8 KB a frame",
            Loses(FaultKind.STACK),
            hook("(call $f)", frames),
        ),
        ("unreachable", "traps", Loses(TRAP, "unreachable")),
        ("division_by_zero", "divides by 0", Loses(TRAP, "integer division by zero")),
        (
            "division_overflow",
            "divides the least number by -1",
            Loses(TRAP, "integer overflow"),
            hook(overflow),
        ),
        (
            "nan_to_integer",
            "makes an integer of what is no number",
            Loses(TRAP, "bad conversion to integer"),
            hook(nan),
        ),
    )


def memory() -> Iterator[Hostile]:
    one, large = "(memory 1)", '(memory (export "memory") 256)'
    far = "(drop (i64.load offset=4294967295 (i32.const -1)))"
    edge = f"(i64.store (i32.const {PAGE - 7}) (i64.const -1))"
    copies = """(loop $again (memory.copy
      (i32.const 0) (i32.const 1) (i32.const 0xffffff)) (br $again))"""
    dropped = """(data.drop $d)
      (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))"""
    past = f"(memory.fill (i32.const {PAGE - 1}) (i32.const 0) (i32.const 2))"
    grows = """(if (i32.ne (memory.grow (i32.const -1)) (i32.const -1))
      (then (return (i32.const 10))))"""
    return rows(
        ("memory_access_outside", "reads past its memory", OUTSIDE),
        ("memory_read_far", "reads at 8 GiB", OUTSIDE, hook(far, one)),
        ("memory_write_edge", "writes over the edge", OUTSIDE, hook(edge, one)),
        ("memory_fill_edge", "fills over the edge", OUTSIDE, hook(past, one)),
        ("bulk_fill", "fills 16 MiB again and again", FUEL),
        (
            "bulk_copy",
            "copies 16 MiB onto itself, for ever",
            FUEL,
            hook(copies, large),
        ),
        (
            "data_drop",
            "reads a data segment that it dropped",
            OUTSIDE,
            hook(dropped, f'{one} (data $d "data")'),
        ),
        ("memory_grow", "grows its memory until it is refused", GoesOn()),
        (
            "memory_grow_at_once",
            "grows its memory by 256 TiB",
            GoesOn(),
            hook(grows, one),
        ),
        ("huge_memory", "begins with 4 GiB", NotStarted("memory minimum size")),
        ("grows_between_calls", "hands the host what it has just grown", GoesOn()),
    )


def tables() -> Iterator[Hostile]:
    table = "(type $v (func)) (table $t 100000 funcref)"
    segment = f"{table} (elem $e func $f) (func $f)"
    out = Loses(TRAP, "table out of bounds")
    fills = """(loop $again (table.fill $t
      (i32.const 0) (ref.null func) (i32.const 100000)) (br $again))"""
    copies = """(loop $again (table.copy $t $t
      (i32.const 0) (i32.const 1) (i32.const 99999)) (br $again))"""
    inits = """(loop $again (table.init $t $e
      (i32.const 0) (i32.const 0) (i32.const 1)) (br $again))"""
    dropped = """(elem.drop $e)
      (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))"""
    wrong = "(call_indirect (type $w) (i64.const 1) (i32.const 0))"
    typed = "(type $w (func (param i64))) (table 1 funcref) (elem (i32.const 0) $f)"
    return rows(
        ("null_call", "calls an empty entry", Loses(TRAP, "indirect call to null")),
        (
            "wrong_type_call",
            "calls an entry as what it is not",
            Loses(TRAP, "bad signature"),
            hook(wrong, f"{typed} (func $f)"),
        ),
        (
            "call_outside",
            "calls past a table",
            out,
            hook("(call_indirect (type $v) (i32.const -1))", table),
        ),
        (
            "table_read_outside",
            "reads past a table",
            out,
            hook("(drop (table.get $t (i32.const 100000)))", table),
        ),
        (
            "elem_drop",
            "reads an element segment that it dropped",
            out,
            hook(dropped, segment),
        ),
        ("table_fill", "fills a table, for ever", FUEL, hook(fills, table)),
        ("table_copy", "copies in a table, for ever", FUEL, hook(copies, table)),
        ("table_init", "initialises a table, for ever", FUEL, hook(inits, segment)),
        ("table_grow", "grows a table until it is refused", GoesOn()),
        (
            "huge_table",
            "begins with 4 billion entries",
            NotStarted("exceeds table limits"),
            hook("", "(table 4294967295 funcref)"),
        ),
        (
            "many_tables",
            "has a hundred tables",
            NotStarted("table count too high"),
            hook("", "(table 1 funcref)" * 100),
        ),
    )


def starting() -> Iterator[Hostile]:
    data = '(memory 1) (data (i32.const 65535) "ab")'
    element = "(table 1 funcref) (func $f) (elem (i32.const 1) $f)"
    return rows(
        ("start_loops", "computes for ever in its start function", NotStarted("fuel")),
        (
            "start_floods",
            "calls the host for ever there",
            NotStarted("1000 host calls"),
        ),
        (
            "start_traps",
            "traps in its start function",
            NotStarted("unreachable"),
            hook("", "(start $f) (func $f unreachable)"),
        ),
        ("init_loops", "computes for ever in plugin_init", NotStarted("out of fuel")),
        (
            "init_fails",
            "fails in plugin_init",
            NotStarted("returned an error: code -1"),
        ),
        (
            "data_outside",
            "lays data past its memory",
            NotStarted("access outside its memory"),
            hook("", data),
        ),
        (
            "elements_outside",
            "lays functions past its table",
            NotStarted("table out of bounds"),
            hook("", element),
        ),
    )
