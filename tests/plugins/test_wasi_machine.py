"""Any sequence of calls on files: it never raises, and never leaves the folder."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from int3rceptor.plugins.abi.wasi_codes import Errno
from int3rceptor.plugins.policy.manifest import Limits
from tests.plugins.support import FACTORIES
from tests.plugins.wasi_support import (
    BOTH,
    CREAT,
    DATA_AT,
    MEMORY,
    OUT_AT,
    READ,
    RESULT_AT,
    ROOT,
    WRITE,
    Console,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

QUOTA = 20_000
SECRET = b"not for plugins"
NAMES = [b"a", b"b", b"sub", b"link", b"up", b"..", b".", b"", b"\xff", b"secret"]
LIKELY = [b"a", b"link", b"sub/a", b"up/secret", b"sub/up/secret", b"sub"]
PATHS = st.one_of(
    st.sampled_from(LIKELY),
    st.sampled_from(LIKELY),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=5).map(b"/".join),
    st.binary(max_size=12),
    st.just(b"/etc/passwd"),
)
NUMBERS = st.sampled_from([ROOT, ROOT, ROOT, ROOT, 0, 1, 4, 5, 6, 64, (1 << 32) - 1])
OFFSETS = st.one_of(
    st.integers(0, 70_000),
    st.sampled_from([(1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 40]),
)
ADDRESSES = st.sampled_from([OUT_AT, MEMORY - 4, MEMORY, (1 << 32) - 1])


AT_A_PLACE = {
    "fd_seek": "fd offset more to",
    "fd_pwrite": "fd at one offset to",
    "fd_filestat_set_size": "fd offset",
    "fd_readdir": "fd at room offset to",
    "fd_renumber": "fd more",
    "fd_close": "fd",
}
"""Functions on a descriptor, and what each is given of what was drawn."""


class Files(RuleBasedStateMachine):
    """A guest that does what it likes, and others that swap links in meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.root = Path(self.place.name)
        (self.root / "secret").write_bytes(SECRET)
        self.folder = self.root / "granted"
        (self.folder / "sub").mkdir(parents=True)
        (self.folder / "a").write_bytes(b"hello")
        self.limits = Limits(file_bytes=QUOTA, host_bytes=4_000_000)
        self.fresh(caller="fast")

    @rule(caller=st.sampled_from(sorted(FACTORIES)))
    def fresh(self, caller: str) -> None:
        """A new plugin, with a quota of its own."""
        self.before = self.size()
        self.console = Console(
            FACTORIES[caller], folders={self.folder: "rw"}, limits=self.limits
        )

    @rule(
        fd=NUMBERS,
        path=PATHS,
        flags=st.integers(0, 15),
        rights=st.sampled_from([0, READ, WRITE, BOTH]),
        fdflags=st.integers(0, 1),
        at=ADDRESSES,
    )
    def open(
        self, fd: int, path: bytes, flags: int, rights: int, fdflags: int, at: int
    ) -> None:
        self.call("path_open", fd, 1, path, flags, rights, 0, fdflags, at)

    @rule(path=st.sampled_from(LIKELY))
    def read_whole(self, path: bytes) -> None:
        """As programs do: what a link let through would show here."""
        errno, fd = self.console.open(path)
        self.known(errno)
        if not errno:
            self.read(fd)
            self.call("fd_close", fd)

    @rule(path=st.sampled_from(LIKELY), size=st.integers(0, 15_000))
    def append(self, path: bytes, size: int) -> None:
        """As programs do: what no quota held back would show here."""
        self.call("path_open", ROOT, 1, path, CREAT, WRITE, 0, 1, OUT_AT)
        if not self.console.u32(RESULT_AT):
            fd = self.console.u32()
            self.write(fd, size)
            self.call("fd_close", fd)

    @rule(
        name=st.sampled_from(
            ["path_create_directory", "path_remove_directory", "path_unlink_file"]
        ),
        fd=NUMBERS,
        path=PATHS,
    )
    def change(self, name: str, fd: int, path: bytes) -> None:
        self.call(name, fd, path)

    @rule(fd=NUMBERS, path=PATHS, to_fd=NUMBERS, to=PATHS)
    def rename(self, fd: int, path: bytes, to_fd: int, to: bytes) -> None:
        self.call("path_rename", fd, path, to_fd, to)

    @rule(
        name=st.sampled_from(sorted(AT_A_PLACE)),
        fd=NUMBERS,
        offset=OFFSETS,
        more=NUMBERS,
    )
    def at_a_place(self, name: str, fd: int, offset: int, more: int) -> None:
        values = {"fd": fd, "offset": offset, "more": more, "at": DATA_AT, "to": OUT_AT}
        values |= {"one": 1, "room": 2000}
        self.call(name, *(values[one] for one in AT_A_PLACE[name].split()))

    @rule(fd=NUMBERS, size=st.integers(0, 20_000))
    def write(self, fd: int, size: int) -> None:
        self.known(self.console.write(fd, b"x" * size))

    @rule(fd=NUMBERS)
    def read(self, fd: int) -> None:
        errno, data = self.console.get(fd)
        self.known(errno)
        assert SECRET not in data

    @rule(
        name=st.sampled_from(["link", "a", "sub/a", "sub", "up"]),
        to=st.sampled_from(["../secret", "..", "../../secret", "."]),
    )
    def swap_a_link_in(self, name: str, to: str) -> None:
        """What somebody else does to the folder."""
        path = self.folder / name
        try:
            path.unlink(missing_ok=True)
            path.symlink_to(to)
        except OSError:
            return  # a folder, or in none
        self.before = max(self.before, self.size())

    @invariant()
    def nothing_outside_is_touched(self) -> None:
        assert (self.root / "secret").read_bytes() == SECRET
        assert sorted(os.listdir(self.root)) == ["granted", "secret"]  # noqa: PTH208

    @invariant()
    def the_quota_holds(self) -> None:
        assert self.size() <= self.before + QUOTA

    def teardown(self) -> None:
        del self.console
        self.place.cleanup()

    def size(self) -> int:
        found = [one for one in self.folder.rglob("*") if not one.is_symlink()]
        return sum(one.lstat().st_size for one in found if one.is_file())

    def call(self, name: str, *args: int | bytes) -> None:
        self.known(self.console.call(name, *args))

    def known(self, errno: int) -> None:
        assert errno in set(Errno), errno


TestFiles = Files.TestCase
TestFiles.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
