"""Guests that misuse what the host offers: floods, quotas, lies, answers."""

from collections.abc import Iterator, Sequence

from int3rceptor.hooks.verdicts import Delay, Drop, Respond
from int3rceptor.plugins.abi.codes import Extra, Status
from int3rceptor.plugins.abi.table import FUNCTIONS
from int3rceptor.plugins.engine.boundary import FaultKind
from int3rceptor.plugins.policy.manifest import MAX_HOST_BYTES, MAX_HOST_CALLS, Limits
from tests.support.hostile.rows import (
    BUDGET,
    EDGES,
    PAGE,
    TRAP,
    Decides,
    GoesOn,
    Hostile,
    Loses,
    Must,
    rows,
)
from tests.support.trying import (
    COUNTED_AT,
    Try,
    called,
    hook,
    imported,
    trying,
    without_end,
)


def answers() -> Iterator[Hostile]:
    delays = [Try("host_delay", (300_001,), (Status.BAD_ARGUMENT,))] * 500
    drops = without_end("host_drop", until=0)
    long = trying(*delays, Try("host_delay", (1,), (0,)))
    answer = trying(Try("host_respond", (200, b"", b"mine"), (0,)))
    return rows(
        (
            "returns_error",
            "ends with a code of its own",
            Loses(FaultKind.RETURNED_ERROR),
        ),
        ("returns_respond", "answers without one", Loses(FaultKind.BAD_ANSWER)),
        ("half_change", "changes a header, then traps", Loses(TRAP, "unreachable")),
        ("changes_all", "changes all that it can, then traps", Loses(TRAP)),
        ("returns_drop", "drops every exchange", Decides(Drop)),
        ("drops", "drops every exchange by a call", Decides(Drop), drops),
        ("answers", "answers every exchange", Decides(Respond), answer),
        ("delays", "delays too long, then a little", Decides(Delay), long),
    )


def floods() -> Iterator[Hostile]:
    fields = _list(b"a", b"b") * 10_000
    yield from rows(
        ("log_flood", "writes log lines without end", BUDGET),
        ("giant_log", "writes log lines of 512 KiB", BUDGET),
        ("clock_flood", "asks for the time without end", BUDGET, _loop("host_now_ms")),
        (
            "random_flood",
            "asks for a megabyte of random bytes",
            Loses(FaultKind.HOST_BUDGET, "more than 1048576 bytes"),
            _loop("host_random", 0, PAGE),
        ),
        (
            "header_bomb",
            "adds headers without end",
            BUDGET,
            _loop("host_add_header", COUNTED_AT, 8, COUNTED_AT, 8),
        ),
        (
            "response_flood",
            "answers with 10,000 headers",
            GoesOn(),
            trying(
                Try("host_respond", (200, fields, b""), (Status.TOO_LARGE,)), pages=4
            ),
        ),
        (
            "answer_storm",
            "answers without end, then has none left",
            BUDGET,
            _loop("host_respond", 200, 0, 0, 0, 4096),
        ),
        (
            "huge_answer",
            "answers with 16 MiB",
            BUDGET,
            without_end("host_respond", 200, 0, 0, 0, 256 * PAGE, pages=256),
        ),
        (
            "config_probe",
            "asks for settings that are not its own",
            GoesOn(),
            trying(*(Try("host_get_config", (one, 0, 64), (-1,)) for one in _PROBES)),
        ),
        (
            "decode_bomb",
            "has bodies decoded without end",
            BUDGET,
            _loop("host_decode_body"),
        ),
        (
            "topic_storm",
            "publishes without end",
            BUDGET,
            _loop("host_publish", b"storm", 0, 1024),
        ),
    )
    for name, attempts, source, must in _CHUNKS:
        yield Hostile(
            name=name,
            attempts=attempts,
            must=must,
            source=source,
            entry=Extra.RESPONSE_CHUNK,
        )


def _loop(name: str, *args: int | bytes) -> str:
    return without_end(name, *args)


_PROBES = (b"../grant", b"token", b"\xff", b"\0", b"permissions", b"k" * 4000)
_CHUNK = ("on_response_chunk",)
_CHUNKS: Sequence[tuple[str, str, str, Must]] = (
    (
        "chunk_growth",
        "puts 900 KiB in the place of each chunk",
        trying(Try("host_set_chunk", (0, 900 * 1024), (0,)), hooks=_CHUNK, pages=16),
        GoesOn(),
    ),
    (
        "chunk_too_large",
        "puts more than a megabyte there",
        trying(
            Try("host_set_chunk", (0, 1024 * 1024 + 1), (Status.TOO_LARGE,)),
            hooks=_CHUNK,
            pages=32,
        ),
        GoesOn(),
    ),
    (
        "chunk_storm",
        "replaces one chunk without end",
        without_end("host_set_chunk", 0, 4096, hooks=_CHUNK),
        BUDGET,
    ),
    (
        "chunk_hoard",
        "keeps bodies, and lets none go on",
        trying(Try("host_set_chunk", (b"",), (0,)), hooks=_CHUNK),
        GoesOn(),
    ),
    (
        "chunk_traps",
        "traps in the middle of a body",
        hook("unreachable", name=_CHUNK[0]),
        Loses(TRAP, "unreachable"),
    ),
)


def _list(*items: bytes) -> bytes:
    return b"".join(len(one).to_bytes(4, "little") + one for one in items)


def quotas() -> Iterator[Hostile]:
    large = Status.TOO_LARGE
    counted = (COUNTED_AT, 8)
    rows = (
        ("tags", "tags one flow without end", "host_tag", counted),
        (
            "context",
            "leaves values without end",
            "host_context_set",
            (*counted, 0, 1024),
        ),
        ("state", "keeps values without end", "host_kv_set", (*counted, 0, 1024)),
        ("numbers", "counts under new keys without end", "host_kv_add", (*counted, 1)),
    )
    for name, attempts, function, args in rows:
        yield Hostile(
            name=f"quota_{name}",
            attempts=attempts,
            must=GoesOn(),
            source=without_end(function, *args, until=large),
            limits=Limits(fuel=50_000_000, host_calls=50_000, host_bytes=64 << 20),
        )
    yield Hostile(
        name="quota_topics",
        attempts="listens to everything",
        must=GoesOn(),
        source=without_end(
            "host_subscribe",
            *counted,
            until=large,
            hooks=("on_request", "on_message"),
        ),
    )


def lies() -> Iterator[Hostile]:
    yield from rows(
        (
            "smuggling",
            "writes fields that would make two messages of one",
            GoesOn(),
            trying(*_SMUGGLED),
        ),
        (
            "list_lies",
            "gives lists that do not add up",
            GoesOn(),
            trying(
                *(
                    Try("host_respond", (200, one, b""), (Status.BAD_ARGUMENT,))
                    for one in (b"\xff" * 4, b"\1\0\0\0", _list(b"a"), b"\5\0\0\0abc")
                )
            ),
        ),
        ("not_utf8", "gives bytes that are no text", GoesOn(), trying(*_NO_TEXT)),
        ("log_escapes", "writes what drives a terminal into the log", GoesOn()),
    )
    yield Hostile(
        name="everything_ungranted",
        attempts="calls every function, and was granted none of them",
        must=GoesOn(),
        source=trying(*_all_refused(), hooks=("on_request", "on_message")),
        is_granted=False,
    )
    yield Hostile(
        name="every_pointer",
        attempts="calls every function with every edge of its memory",
        must=GoesOn(),
        source=_with_every_edge(),
        limits=Limits(
            fuel=20_000_000, host_calls=MAX_HOST_CALLS, host_bytes=MAX_HOST_BYTES
        ),
    )


def edges(name: str) -> Iterator[tuple[int, ...]]:
    """Arguments of one function: every edge in every place, the others small."""
    count = len(FUNCTIONS[name].params)
    for place in range(count):
        for edge in EDGES:
            numbers = [8] * count
            numbers[place] = edge
            yield tuple(numbers)
    for edge in EDGES:
        yield (edge,) * count


def _with_every_edge() -> str:
    """Calls all in one hook; whatever they answer, it goes on without a verdict."""
    names = [name for name in FUNCTIONS if name not in _DECIDING]
    calls = "".join(
        f"(drop {called(name, numbers)})\n" for name in names for numbers in edges(name)
    )
    memory = '(memory (export "memory") 1)'
    hears = '(func (export "on_message") (result i32) (i32.const 0))'
    return hook(calls, f"{imported(names)} {memory} {hears}")


_DECIDING = ("host_respond", "host_drop", "host_delay")


def _all_refused() -> Iterator[Try]:
    """A call of each function that needs a grant. One that needs none is not here."""
    for name, row in FUNCTIONS.items():
        if Status.NO_PERMISSION in row.errors and row.hooks[:1] != (Extra.MESSAGE,):
            answers = (Status.NO_PERMISSION, Status.WRONG_HOOK)
            yield Try(name, (0,) * len(row.params), answers)


_BAD, _KEPT = (Status.BAD_ARGUMENT,), (Status.PROTECTED,)
_SMUGGLED = (
    Try("host_add_header", (b"a\r\nb", b"c"), _BAD),
    Try("host_add_header", (b"a", b"b\r\ncontent-length: 5"), _BAD),
    Try("host_add_header", (b"a:", b"b"), _BAD),
    Try("host_add_header", (b"", b"b"), _BAD),
    Try("host_add_header", (b"a", b"b\0"), _BAD),
    Try("host_add_header", (b"Content-Length", b"0"), _KEPT),
    Try("host_add_header", (b"transfer-ENCODING", b"chunked"), _KEPT),
    Try("host_add_header", (b"host", b"elsewhere.test"), _KEPT),
    Try("host_remove_header", (b"Content-Length",), _KEPT),
    Try("host_set_method", (b"CONNECT",), _BAD),
    Try("host_set_method", (b"GET / HTTP/1.1\r\n",), _BAD),
    Try("host_set_path", (b"/ HTTP/1.1\r\nx: y",), _BAD),
    Try("host_set_path", (b"http://elsewhere.test/",), _BAD),
    Try("host_respond", (101, b"", b""), _BAD),
    Try("host_respond", (204, b"", b"body"), _BAD),
    Try("host_respond", (200, _list(b"content-length", b"1"), b"body"), _KEPT),
    Try("host_respond", (200, _list(b"a", b"b\r\n\r\nHTTP/1.1 200"), b""), _BAD),
)

_NO_TEXT = (
    Try("host_log", (1, b"\xff\xfe"), (-1,)),
    Try("host_abort", (b"\xc3",), (-1,)),
    Try("host_tag", (b"\xed\xa0\x80",), _BAD),
    Try("host_tag", ("\u202egnp.exe".encode(),), _BAD),
    Try("host_context_set", (b"\xff", b""), _BAD),
    Try("host_context_set", (b"a\nb", b""), _BAD),
    Try("host_publish", (b"\xff", b""), _BAD),
    Try("host_publish", (b"\x1b[2J", b""), _BAD),
    Try("host_get_header", (b"\xff", 0, 64), (-1,)),
    Try("host_get_config", (b"\xff", 0, 64), (-1,)),
    Try("host_set_method", (b"\xff",), _BAD),
)
