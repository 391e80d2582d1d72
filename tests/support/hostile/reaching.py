"""Guests that reach out of the sandbox: through WASI, files and fetching."""

import struct
from collections.abc import Iterable, Iterator

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.abi.wasi import WASI
from int3rceptor.plugins.abi.wasi_codes import RIGHT_READ, RIGHT_WRITE, Errno, OpenFlags
from int3rceptor.plugins.engine.boundary import FaultKind
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.policy.manifest import MAX_FETCHES, Limits
from tests.support.hostile.rows import BUDGET, EDGES, PAGE, GoesOn, Hostile, Loses, rows
from tests.support.trying import TEXT_AT, At, Try, called, hook, imported, trying
from tests.support.trying import without_end as loop

FOLDER = "{folder}"
"""Stands for a folder in what a row is granted; it holds the files of `fill`."""

FILES = (f"files:{FOLDER}:rw",)
NETWORK = ("network:*",)
SECRET = b"not for plugins"
ROOT, STDOUT = 3, 1
CLOSED = 63
"""A descriptor that is not open."""

FAULT, INVAL, BADF = (Errno.FAULT,), (Errno.INVAL,), (Errno.BADF,)
OUT, NONE = (Errno.NOTCAPABLE,), (Errno.NOTSUP,)
FULL = (Errno.DQUOT, Errno.INVAL, Errno.FBIG)


def vectors(*spans: tuple[int, int]) -> At:
    """The buffers of one call of fd_write and its like."""
    return At(b"".join(struct.pack("<II", *one) for one in spans))


def opening(
    path: bytes, *answers: int, flags: int = 0, rights: int = RIGHT_READ
) -> Try:
    """Opens a path in the first granted folder."""
    args = (ROOT, 1, path, flags, rights, rights, 0, 0)
    return Try("path_open", args, answers)


def programs() -> Iterator[Hostile]:
    """What a program can do to its log, its clocks and its end."""
    asleep = struct.pack("<QB7xI4xQQH6x", 7, 0, 1, (1 << 64) - 1, 0, 0)
    return rows(
        (
            "wasi_write_storm",
            "prints without end",
            BUDGET,
            loop("fd_write", STDOUT, vectors((TEXT_AT, 8)), 1, 0),
        ),
        (
            "wasi_write_vectors",
            "prints one page a thousand times in one call",
            BUDGET,
            loop("fd_write", STDOUT, vectors(*[(0, PAGE)] * 1024), 1024, 0),
        ),
        (
            "wasi_random_flood",
            "asks for 64 KiB of random bytes without end",
            Loses(FaultKind.HOST_BUDGET, "more than 1048576 bytes"),
            loop("random_get", 0, PAGE),
        ),
        (
            "wasi_poll_for_ever",
            "sleeps until the end of time, again and again",
            BUDGET,
            loop("poll_oneoff", At(asleep), 128, 1, 0),
        ),
        (
            "wasi_exit",
            "ends its process",
            Loses(FaultKind.EXITED, "proc_exit(0)"),
            hook("(call $proc_exit (i32.const 0))", imported(["proc_exit"])),
        ),
        ("wasi_sizes", "gives sizes that nobody has", GoesOn(), trying(*_SIZES)),
        ("wasi_absent", "asks for what no plugin gets", GoesOn(), trying(*_ABSENT)),
    )


_SIZES = (
    Try("random_get", (0, (1 << 32) - 1), FAULT),
    Try("random_get", (PAGE, 1), FAULT),
    Try("poll_oneoff", (0, 0, 0, 0), INVAL),
    Try("poll_oneoff", (0, 0, (1 << 32) - 1, 0), INVAL),
    Try("poll_oneoff", (PAGE - 1, 0, 1, 0), FAULT),
    Try("poll_oneoff", (0, PAGE - 1, 1, 0), FAULT),
    Try("args_get", (PAGE - 1, 0), FAULT),
    Try("args_get", (0, PAGE - 1), FAULT),
    Try("args_get", (0, (1 << 32) - 1), FAULT),
    Try("args_sizes_get", (PAGE - 1, 0), FAULT),
    Try("environ_sizes_get", (0, PAGE), FAULT),
    Try("fd_write", (STDOUT, 0, 1025, 0), INVAL),
    Try("fd_write", (STDOUT, 0, (1 << 32) - 1, 0), INVAL),
    Try("fd_write", (STDOUT, PAGE - 8, 2, 0), FAULT),
    Try("fd_write", (STDOUT, vectors((PAGE - 1, 2)), 1, 0), FAULT),
    Try("fd_write", (STDOUT, vectors((1, (1 << 32) - 1)), 1, 0), FAULT),
    Try("fd_write", (STDOUT, vectors((0, 1)), 1, PAGE - 3), FAULT),
    Try("clock_time_get", (0, 0, PAGE - 7), FAULT),
)
_ABSENT = (
    Try("sock_accept", (ROOT, 0, 0), NONE),
    Try("sock_recv", (ROOT, 0, 1, 0, 0, 0), NONE),
    Try("sock_send", (ROOT, 0, 1, 0, 0), NONE),
    Try("proc_raise", (9,), NONE),
    Try("path_symlink", (b"/etc/passwd", ROOT, b"link"), NONE),
    Try("path_link", (ROOT, 0, b"a", ROOT, b"link"), NONE),
    Try("path_readlink", (ROOT, b"link", 0, 64, 0), NONE),
    Try("fd_allocate", (ROOT, 0, 1 << 40), NONE),
    Try("path_open", (ROOT, 1, b"a", 0, RIGHT_READ, 0, 0, 0), BADF),
)


def reaching() -> Iterator[Hostile]:
    """What has a folder, or the network, and wants more of it than was granted."""
    for name, attempts, source in (
        ("file_paths", "leaves its folder by names", trying(*_escapes())),
        ("file_links", "leaves its folder by links", trying(*_links())),
        ("file_disk", "takes more of the disk than its quota", trying(*_DISK)),
        (
            "file_descriptors",
            "opens one file until it is refused",
            loop("path_open", *opening(b"a").args, until=Errno.MFILE),
        ),
        ("wasi_every_pointer", "calls all of WASI with every edge", _every_edge()),
    ):
        yield Hostile(
            name=name,
            attempts=attempts,
            must=GoesOn(),
            source=source,
            reach=FILES,
            limits=Limits(host_calls=100_000, file_bytes=16_384),
        )
    yield Hostile(
        name="fetch_inside",
        attempts="fetches from this machine and its neighbours",
        must=GoesOn(),
        source=trying(*map(_inside, _INSIDE)),
        reach=NETWORK,
        limits=Limits(fetches=MAX_FETCHES),
    )
    yield Hostile(
        name="fetch_storm",
        attempts="fetches until it is refused",
        must=GoesOn(),
        source=loop("host_http_fetch", _get("http://127.0.0.1/"), 0, 64, until=-7),
        reach=NETWORK,
    )


def _escapes() -> Iterator[Try]:
    for path in _OUTSIDE:
        yield opening(path, *OUT)
        yield opening(path, *OUT, flags=OpenFlags.CREAT, rights=RIGHT_WRITE)
        for name in ("path_unlink_file", "path_create_directory"):
            yield Try(name, (ROOT, path), OUT)
        yield Try("path_filestat_get", (ROOT, 1, path, 0), OUT)
        yield Try("path_rename", (ROOT, path, ROOT, b"mine"), OUT)
        yield Try("path_rename", (ROOT, b"a", ROOT, path), OUT)
    yield opening(b"\0", *INVAL, Errno.NOENT)
    yield opening(b"a/" * 3000, Errno.NAMETOOLONG, Errno.NOTDIR)
    yield opening(b"x" * 5000, Errno.NAMETOOLONG)


_OUTSIDE = (
    *(
        b"..",
        b"../secret",
        b"sub/../../secret",
        b"./.././secret",
        b"/",
        b"//etc/passwd",
    ),
    *(b"/etc/passwd", b"/proc/self/mem", b"/proc/self/fd/0", b"sub/../.."),
)


def _links() -> Iterator[Try]:
    never = (Errno.NOTCAPABLE, Errno.LOOP, Errno.NOTDIR)
    for path in (b"link", b"up", b"up/secret", b"sub/up/secret", b"up/granted/a"):
        yield opening(path, *never)
        flags = OpenFlags.CREAT | OpenFlags.TRUNC
        yield opening(path, *never, flags=flags, rights=RIGHT_WRITE)
        yield Try("path_unlink_file", (ROOT, path), never)
        yield Try("path_rename", (ROOT, path, ROOT, b"mine"), never)


# The first file that is opened has the number 4 from then on.
_DISK = (
    opening(b"big", 0, flags=OpenFlags.CREAT, rights=RIGHT_WRITE),
    *(Try("fd_filestat_set_size", (4, size), FULL) for size in (1 << 40, 1 << 62)),
    Try("fd_filestat_set_size", (4, (1 << 64) - 1), FULL),
    Try("fd_pwrite", (4, vectors((0, 8)), 1, 1 << 40, 0), FULL),
    Try("fd_pwrite", (4, vectors((0, 8)), 1, (1 << 64) - 1, 0), FULL),
    Try("fd_write", (4, vectors((0, PAGE)), 1, 0), FULL),
    Try("fd_write", (CLOSED, vectors((0, 8)), 1, 0), BADF),
    Try("fd_renumber", (4, ROOT), NONE),
)


def race() -> bytes:
    """Opens `a` and reads of it, again and again, while others swap it."""
    vector = vectors((1024, len(SECRET)))
    text, spans = b"a", vector.text
    data = f'(data (i32.const {TEXT_AT}) "{text.decode()}")'
    table = "".join(f"\\{byte:02x}" for byte in spans)
    data += f'(data (i32.const {TEXT_AT + 8}) "{table}")'
    opened = called("path_open", (ROOT, 1, TEXT_AT, 1, 0, RIGHT_READ, 0, 0, 0))
    return f"""(module
      {imported(["path_open", "fd_read", "fd_close"])}
      (memory (export "memory") 1) {data}
      (func (export "on_request") (result i32) (local $n i32)
        (loop $again
          (if (i32.eqz {opened}) (then
            (drop (call $fd_read (i32.load (i32.const 0))
              (i32.const {TEXT_AT + 8}) (i32.const 1) (i32.const 16)))
            (drop (call $fd_close (i32.load (i32.const 0))))
            (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const {SECRET[0]}))
              (then (return (i32.const 10))))))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $n) (i32.const 100))))
        (i32.const 0)))""".encode()


def _every_edge() -> str:
    """Whatever they answer, it goes on; so often that it would notice a crash."""
    names = [name for name in WASI if name != "proc_exit"]
    return hook(
        "".join(
            f"(drop {called(name, numbers)})\n"
            for name in names
            for numbers in _edges(len(WASI[name].params))
        ),
        f'{imported(names)} (memory (export "memory") 1)',
    )


def _edges(count: int) -> Iterable[tuple[int, ...]]:
    """Every edge in every place, the others a folder's number or an address."""
    for place in range(count):
        for edge in EDGES:
            numbers = [ROOT] * count
            numbers[place] = edge
            yield tuple(numbers)
    yield from ((edge,) * count for edge in EDGES)


def _get(url: str) -> bytes:
    return encode_list([b"GET", url.encode(), b""])


def _inside(url: str) -> Try:
    refused = (Status.NO_PERMISSION, Status.BAD_ARGUMENT)
    return Try("host_http_fetch", (_get(url), 0, 64), refused)


_INSIDE = [
    f"http://{host}/"
    for host in (
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "[::1]"),
        *("0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "10.0.0.1"),  # noqa: S104
        *("172.16.0.1", "192.168.0.1", "169.254.169.254", "[fe80::1]", "[fd00::1]"),
        *(
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[64:ff9b::7f00:1]",
            "127.0.0.1.",
        ),
        *("[2002:7f00:1::]", "user@127.0.0.1", "127.0.0.1:8081", "192.0.2.1"),
    )
]
