"""A guest that calls any function of WASI with any numbers, and what it needs."""

import struct
from collections.abc import Mapping
from pathlib import Path

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import WASI_MODULE, LogLevel
from int3rceptor.plugins.abi.wasi import WASI
from int3rceptor.plugins.abi.wasi_codes import RIGHT_READ, RIGHT_WRITE
from int3rceptor.plugins.engine.boundary import Fault, Guest
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.engine.fastcall import FastMaker
from int3rceptor.plugins.host.host import Surroundings
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.policy.permissions import Grant, Permission, grant_of
from tests.plugins.support import make_flow, make_instance

MEMORY = 4 * 65_536
RESULT_AT = 128
OUT_AT = 256
DATA_AT = 4096
READ, WRITE = RIGHT_READ, RIGHT_WRITE
BOTH = READ | WRITE
CREAT, DIRECTORY, EXCL, TRUNC = 1, 2, 4, 8
ROOT = 3
"""The number of the first granted folder."""


def console_source() -> bytes:
    """A module that calls the function whose index is at 0, with numbers from 8 on."""
    imports, cases = [], []
    for index, row in enumerate(WASI.values()):
        params = f"(param {' '.join(row.types)})" if row.params else ""
        result = f"(result {row.result})" if row.result else ""
        imports.append(
            f'(import "{WASI_MODULE}" "{row.name}" (func $f{index} {params} {result}))'
        )
        loads = " ".join(
            f"({kind}.load (i32.const {8 + 8 * position}))"
            for position, kind in enumerate(row.types)
        )
        call = f"(call $f{index} {loads})"
        kept = f"(i32.store (i32.const {RESULT_AT}) {call})" if row.result else call
        cases.append(
            f"(if (i32.eq (i32.load (i32.const 0)) (i32.const {index})) (then {kept}))"
        )
    return f"""(module {" ".join(imports)}
      (memory (export "memory") 4)
      (func (export "on_request") (result i32) {" ".join(cases)} (i32.const 0)))
    """.encode()


_INDEX = {name: index for index, name in enumerate(WASI)}
_SOURCE = console_source()


class Console:
    """One such guest, each call a hook call of its own."""

    def __init__(
        self,
        factory: MakerFactory = FastMaker,
        *,
        folders: Mapping[Path, str] | None = None,
        limits: Limits | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        granted = {grant_of(Permission.BASE), grant_of(Permission.AMBIENT)}
        for path, mode in (folders or {}).items():
            granted.add(Grant("files", f"{path}:{mode}"))
        self.instance = make_instance(
            _SOURCE,
            factory,
            limits=limits,
            granted=frozenset(granted),
            surroundings=surroundings,
        )

    @property
    def guest(self) -> Guest:
        running = self.instance._guest or self.instance.start()
        assert not isinstance(running, Fault), running
        return running

    def run(self, name: str, *numbers: int) -> Fault | None:
        """Call with these numbers; how the hook ended."""
        head = struct.pack("<Q", _INDEX[name])
        packed = b"".join((one % (1 << 64)).to_bytes(8, "little") for one in numbers)
        assert self.guest.write(0, head + packed)
        result = self.instance.run(HookPoint.REQUEST, make_flow())
        assert result is None or isinstance(result, Fault)
        return result

    def call(self, name: str, *args: int | bytes) -> int:
        """The errno. A bytes argument stands for its address and its length."""
        numbers: list[int] = []
        at = DATA_AT
        for one in args:
            if isinstance(one, bytes):
                assert self.guest.write(at, one)
                numbers += [at, len(one)]
                at += len(one)
            else:
                numbers.append(one)
        fault = self.run(name, *numbers)
        assert fault is None, fault
        return self.u32(RESULT_AT)

    def u32(self, address: int = OUT_AT) -> int:
        return int.from_bytes(self.read(address, 4), "little")

    def u64(self, address: int = OUT_AT) -> int:
        return int.from_bytes(self.read(address, 8), "little")

    def read(self, address: int, length: int) -> bytes:
        data = self.guest.read(address, length)
        assert data is not None
        return data

    def lines(self) -> list[tuple[LogLevel, str]]:
        return list(self.instance.take_lines())

    # What programs do, in one line each.

    def open(
        self, path: bytes, flags: int = 0, rights: int = READ, *, fd: int = ROOT
    ) -> tuple[int, int]:
        """The errno, and the descriptor if it is 0."""
        errno = self.call("path_open", fd, 1, path, flags, rights, rights, 0, OUT_AT)
        return errno, self.u32()

    def opened(self, path: bytes, flags: int = 0, rights: int = READ) -> int:
        errno, fd = self.open(path, flags, rights)
        assert errno == 0
        return fd

    def write(self, fd: int, data: bytes) -> int:
        """The errno of fd_write; how much, is at OUT_AT."""
        at = DATA_AT + 64
        assert self.guest.write(at, data)
        assert self.guest.write(DATA_AT, struct.pack("<II", at, len(data)))
        return self.call("fd_write", fd, DATA_AT, 1, OUT_AT)

    def get(self, fd: int, length: int = 4096) -> tuple[int, bytes]:
        """The errno of fd_read, and what was read."""
        at = DATA_AT + 64
        assert self.guest.write(DATA_AT, struct.pack("<II", at, length))
        errno = self.call("fd_read", fd, DATA_AT, 1, OUT_AT)
        return errno, self.read(at, self.u32()) if errno == 0 else b""

    def names(self, fd: int, room: int = 8192) -> list[bytes]:
        """What fd_readdir lists from the beginning."""
        return [name for name, _ in self.entries(fd, room)]

    def entries(self, fd: int, room: int = 8192) -> list[tuple[bytes, int]]:
        """What fd_readdir lists from the beginning, each with its type."""
        assert self.call("fd_readdir", fd, DATA_AT, room, 0, OUT_AT) == 0
        data, found = self.read(DATA_AT, self.u32()), []
        while len(data) >= 24:
            length = int.from_bytes(data[16:20], "little")
            found.append((data[24 : 24 + length], data[20]))
            data = data[24 + length :]
        return found
