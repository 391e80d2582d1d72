"""Files of a guest: the granted folders, and no way out of them."""

import gc
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from int3rceptor.plugins.abi.wasi_codes import Errno
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.wasi import files
from int3rceptor.plugins.wasi.descriptors import MAX_DESCRIPTORS
from tests.plugins.wasi_support import (
    BOTH,
    CREAT,
    DATA_AT,
    DIRECTORY,
    EXCL,
    MEMORY,
    OUT_AT,
    READ,
    ROOT,
    TRUNC,
    WRITE,
    Console,
)

SECRET = b"not for plugins"
OUT = {Errno.NOTCAPABLE, Errno.LOOP, Errno.NOTDIR}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to grant, beside a file that must not be reached."""
    (tmp_path / "secret").write_bytes(SECRET)
    granted = tmp_path / "granted"
    (granted / "sub" / "deep").mkdir(parents=True)
    (granted / "a.txt").write_bytes(b"hello")
    (granted / "sub" / "b.txt").write_bytes(b"below")
    return granted


@pytest.fixture
def console(folder: Path) -> Iterator[Console]:
    yield Console(folders={folder: "rw"})
    assert (folder.parent / "secret").read_bytes() == SECRET
    assert {one.name for one in folder.parent.iterdir()} <= {"granted", "secret"}


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_granted_folders_are_the_first_descriptors(
    folder: Path, factory: MakerFactory
) -> None:
    other = folder / "sub"
    console = Console(factory, folders={other: "ro", folder: "rw"})
    assert console.write(4, b"") == Errno.ISDIR
    for fd, path in ((3, folder), (4, other)):
        assert console.call("fd_prestat_get", fd, OUT_AT) == 0
        assert console.u32(OUT_AT) == 0  # a folder
        length = console.u32(OUT_AT + 4)
        assert console.call("fd_prestat_dir_name", fd, DATA_AT, length) == 0
        assert console.read(DATA_AT, length).decode() == str(path)
        short = console.call("fd_prestat_dir_name", fd, DATA_AT, 3)
        assert short == Errno.NAMETOOLONG
    for fd in (0, 1, 5, (1 << 32) - 1):
        assert console.call("fd_prestat_get", fd, OUT_AT) == Errno.BADF
        assert console.call("fd_prestat_dir_name", fd, DATA_AT, 9) == Errno.BADF


def test_without_a_grant_there_is_no_folder(factory: MakerFactory) -> None:
    console = Console(factory)
    assert console.call("fd_prestat_get", 3, OUT_AT) == Errno.BADF
    assert console.open(b"a.txt")[0] == Errno.BADF
    assert console.open(b"a.txt", fd=1)[0] == Errno.NOTDIR


def test_a_file_is_read_written_and_made(
    console: Console, folder: Path, factory: MakerFactory
) -> None:
    fd = console.opened(b"a.txt")
    assert console.get(fd, 4) == (0, b"hell")
    assert console.get(fd) == (0, b"o")
    assert console.get(fd) == (0, b"")
    assert console.write(fd, b"x") == Errno.BADF  # not opened for writing
    (folder / "sub" / "deep" / "c.txt").write_bytes(b"far below")
    assert console.get(console.opened(b"sub/deep/c.txt")) == (0, b"far below")
    new = console.opened(b"sub/deep/../new", CREAT, WRITE)
    assert console.write(new, b"made by") == 0
    assert console.write(new, b" a guest") == 0
    assert console.get(new)[0] == Errno.BADF  # not for reading
    made = folder / "sub" / "new"
    assert made.read_bytes() == b"made by a guest"
    assert made.stat().st_mode & 0o777 == 0o600
    assert console.open(b"sub/new", CREAT | EXCL, WRITE)[0] == Errno.EXIST
    again = console.opened(b"sub/new", CREAT, WRITE)
    assert console.write(again, b"MADE") == 0
    assert made.read_bytes() == b"MADE by a guest"
    console.opened(b"sub/new", TRUNC, WRITE)
    assert made.read_bytes() == b""
    assert console.open(b"missing")[0] == Errno.NOENT


def test_seeking_telling_and_places(console: Console, folder: Path) -> None:
    fd = console.opened(b"a.txt", 0, BOTH)
    assert console.call("fd_seek", fd, 1, 0, OUT_AT) == 0
    assert console.call("fd_seek", fd, 2, 1, OUT_AT) == 0
    assert console.call("fd_tell", fd, OUT_AT) == 0
    assert console.u64() == 3
    assert console.call("fd_seek", fd, -1, 2, OUT_AT) == 0
    assert console.u64() == 4
    assert console.get(fd) == (0, b"o")
    for offset, whence in ((-6, 2), (-9, 1), (-1, 0), (1 << 63, 0), ((1 << 63) - 1, 1)):
        assert console.call("fd_seek", fd, offset, whence, OUT_AT) == Errno.INVAL
    assert console.call("fd_seek", fd, 0, 3, OUT_AT) == Errno.INVAL
    vector = struct.pack("<II", DATA_AT + 64, 2)
    assert console.guest.write(DATA_AT, vector)
    assert console.call("fd_pread", fd, DATA_AT, 1, 1, OUT_AT) == 0
    assert console.read(DATA_AT + 64, 2) == b"el"
    assert console.call("fd_pwrite", fd, DATA_AT, 1, 3, OUT_AT) == 0
    assert (folder / "a.txt").read_bytes() == b"helel"
    assert console.call("fd_tell", fd, OUT_AT) == 0
    assert console.u64() == 5
    for offset in (-1, 1 << 63, (1 << 63) - 1):
        assert console.call("fd_pread", fd, DATA_AT, 1, offset, OUT_AT) == Errno.INVAL
        assert console.call("fd_pwrite", fd, DATA_AT, 1, offset, OUT_AT) == Errno.FBIG


def test_appending_goes_to_the_end(console: Console, folder: Path) -> None:
    args = (ROOT, 1, b"a.txt", 0, WRITE, WRITE, 1, OUT_AT)
    assert console.call("path_open", *args) == 0
    fd = console.u32()
    with (folder / "a.txt").open("ab") as other:
        other.write(b" and others")
    assert console.write(fd, b"!") == 0
    assert (folder / "a.txt").read_bytes() == b"hello and others!"
    assert console.call("fd_fdstat_get", fd, OUT_AT) == 0
    assert console.read(OUT_AT, 4) == b"\x04\0\x01\0"
    assert console.call("fd_fdstat_set_flags", fd, 0) == 0
    assert console.call("fd_seek", fd, 0, 0, OUT_AT) == 0
    assert console.write(fd, b"H") == 0
    assert (folder / "a.txt").read_bytes() == b"Hello and others!"
    assert console.call("fd_fdstat_set_flags", fd, 1) == 0
    assert console.write(fd, b"?") == 0
    assert (folder / "a.txt").read_bytes() == b"Hello and others!?"


@pytest.mark.parametrize(
    "path",
    [
        b"..",
        b"../secret",
        b"sub/../../secret",
        b"./.././secret",
        b"sub/deep/../../../secret",
        b"/etc/passwd",
        b"/",
        b"/proc/self/environ",
        b"//etc/passwd",
    ],
)
def test_no_path_leads_out(path: bytes, console: Console) -> None:
    assert console.open(path)[0] == Errno.NOTCAPABLE
    assert console.open(path, CREAT, WRITE)[0] == Errno.NOTCAPABLE
    for name in ("path_create_directory", "path_remove_directory", "path_unlink_file"):
        assert console.call(name, ROOT, path) == Errno.NOTCAPABLE
    assert console.call("path_rename", ROOT, path, ROOT, b"in") == Errno.NOTCAPABLE
    assert console.call("path_rename", ROOT, b"a.txt", ROOT, path) == Errno.NOTCAPABLE
    got = console.call("path_filestat_get", ROOT, 1, path, OUT_AT)
    assert got == Errno.NOTCAPABLE


def test_above_a_folder_that_was_opened_is_nothing(console: Console) -> None:
    sub = console.opened(b"sub", DIRECTORY)
    assert console.open(b"b.txt", fd=sub)[0] == 0
    assert console.open(b"../a.txt", fd=sub)[0] == Errno.NOTCAPABLE


def test_no_link_is_followed(console: Console, folder: Path) -> None:
    (folder / "out").symlink_to("../secret")
    (folder / "up").symlink_to("..")
    (folder / "near").symlink_to("a.txt")
    (folder / "sub" / "away").symlink_to(folder.parent)
    for path in (b"out", b"near", b"up", b"up/secret", b"up/", b"sub/away/secret"):
        for flags, rights in ((0, READ), (CREAT, BOTH), (TRUNC, WRITE)):
            assert console.open(path, flags, rights)[0] in OUT, path
    assert console.open(b"up", DIRECTORY)[0] in OUT
    assert console.call("path_unlink_file", ROOT, b"out") == Errno.LOOP
    assert console.call("path_rename", ROOT, b"out", ROOT, b"x") == Errno.LOOP
    assert console.call("path_rename", ROOT, b"a.txt", ROOT, b"out") == Errno.LOOP
    assert console.call("path_create_directory", ROOT, b"up/made") in OUT
    assert console.call("path_filestat_get", ROOT, 1, b"out", OUT_AT) == Errno.LOOP
    # Without following it is told for what it is, as lstat does.
    assert console.call("path_filestat_get", ROOT, 0, b"out", OUT_AT) == 0
    assert console.read(OUT_AT + 16, 1) == b"\x07"
    assert b"out" in console.names(ROOT)


def test_a_link_that_is_swapped_in_is_not_followed(
    console: Console, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.look

    def look(parent: int, name: bytes) -> os.stat_result | None:
        found = real(parent, name)
        if name == b"a.txt":  # right after it was judged
            (folder / "a.txt").unlink(missing_ok=True)
            (folder / "a.txt").symlink_to("../secret")
        return found

    monkeypatch.setattr(files, "look", look)
    assert console.open(b"a.txt")[0] == Errno.LOOP
    assert console.open(b"a.txt", TRUNC, WRITE)[0] == Errno.LOOP


def test_links_cannot_be_made_or_read(console: Console) -> None:
    assert console.call("path_symlink", b"../secret", ROOT, b"x") == Errno.NOTSUP
    assert console.call("path_link", ROOT, 0, b"a.txt", ROOT, b"x") == Errno.NOTSUP
    args = (ROOT, b"a.txt", DATA_AT, 64, OUT_AT)
    assert console.call("path_readlink", *args) == Errno.NOTSUP


def test_what_is_no_file_is_not_opened(console: Console, folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.path.relpath(folder / "socket"))
        for name in (b"fifo", b"socket"):
            for rights in (READ, WRITE):
                assert console.open(name, 0, rights)[0] == Errno.ACCES


def test_a_fifo_that_is_swapped_in_does_not_wait(
    console: Console, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.look

    def look(parent: int, name: bytes) -> os.stat_result | None:
        found = real(parent, name)
        (folder / "a.txt").unlink(missing_ok=True)
        os.mkfifo(folder / "a.txt")
        return found

    monkeypatch.setattr(files, "look", look)
    assert b"a.txt" in console.names(ROOT)
    before = open_descriptors()
    assert console.open(b"a.txt")[0] == Errno.ACCES
    assert open_descriptors() == before


def test_names_are_bounded(console: Console) -> None:
    long = b"x" * 5000
    assert console.open(long)[0] == Errno.NAMETOOLONG
    assert console.open(b"x" * 300)[0] == Errno.NAMETOOLONG
    assert console.open(b"sub/../" * 40 + b"a.txt")[0] == Errno.NAMETOOLONG
    assert console.open(b"a\0b")[0] == Errno.INVAL
    assert console.open(b"")[0] == Errno.NOENT
    assert console.open(b"a.txt/b")[0] == Errno.NOTDIR
    assert console.open(b"a.txt/")[0] == Errno.NOTDIR
    assert console.open(b"\xff\xfe", CREAT, WRITE)[0] == 0
    outside = console.call("path_unlink_file", ROOT, MEMORY - 2, 5)
    assert outside == Errno.FAULT


def test_reading_only_means_that(folder: Path, factory: MakerFactory) -> None:
    console = Console(factory, folders={folder: "ro"})
    assert console.get(console.opened(b"a.txt")) == (0, b"hello")
    sub = console.opened(b"sub", DIRECTORY)
    for fd in (ROOT, sub):
        for flags, rights in ((CREAT, READ), (TRUNC, READ), (0, WRITE), (0, BOTH)):
            assert console.open(b"a.txt", flags, rights, fd=fd)[0] == Errno.ROFS
        for name in (
            "path_create_directory",
            "path_remove_directory",
            "path_unlink_file",
        ):
            assert console.call(name, fd, b"a.txt") == Errno.ROFS
        assert console.call("path_rename", fd, b"a.txt", fd, b"b") == Errno.ROFS
    file = console.opened(b"a.txt")
    assert console.call("fd_filestat_set_size", file, 0) == Errno.BADF
    assert (folder / "a.txt").read_bytes() == b"hello"


def test_folders_are_made_renamed_and_removed(console: Console, folder: Path) -> None:
    assert console.call("path_create_directory", ROOT, b"new/") == 0
    assert (folder / "new").stat().st_mode & 0o777 == 0o700
    assert console.call("path_create_directory", ROOT, b"new") == Errno.EXIST
    assert console.call("path_rename", ROOT, b"new/", ROOT, b"sub/newer/") == 0
    assert (folder / "sub" / "newer").is_dir()
    assert console.call("path_remove_directory", ROOT, b"sub") == Errno.NOTEMPTY
    assert console.call("path_remove_directory", ROOT, b"sub/newer/") == 0
    assert console.call("path_remove_directory", ROOT, b"a.txt") == Errno.NOTDIR
    assert console.call("path_unlink_file", ROOT, b"sub") == Errno.ISDIR
    assert console.call("path_unlink_file", ROOT, b"a.txt") == 0
    assert console.call("path_unlink_file", ROOT, b"a.txt") == Errno.NOENT
    into_itself = console.call("path_rename", ROOT, b"sub", ROOT, b"sub/deep/x")
    assert into_itself == Errno.INVAL
    assert console.open(b"sub", 0, WRITE)[0] == Errno.ISDIR
    assert console.open(b"sub/b.txt", DIRECTORY)[0] == Errno.NOTDIR
    assert console.open(b"nope", DIRECTORY)[0] == Errno.NOENT


def test_nothing_is_renamed_from_one_grant_to_another(folder: Path) -> None:
    other = folder / "sub"
    console = Console(folders={folder: "rw", other: "rw"})
    assert console.call("path_rename", 3, b"a.txt", 4, b"x") == Errno.XDEV
    assert console.call("path_rename", 4, b"b.txt", 3, b"x") == Errno.XDEV


def test_a_folder_is_listed_by_cookies(console: Console, folder: Path) -> None:
    for number in range(30):
        (folder / "sub" / f"file-{number:02}").touch()
    fd = console.opened(b"sub", DIRECTORY)
    assert console.names(fd)[:2] == [b".", b".."]
    assert len(console.names(fd)) == 34
    seen, cookie = [], 0
    while True:
        assert console.call("fd_readdir", fd, DATA_AT, 50, cookie, OUT_AT) == 0
        used = console.u32()
        if not used:
            break
        data = console.read(DATA_AT, used)
        length = int.from_bytes(data[16:20], "little")
        seen.append(data[24 : 24 + length])
        cookie = int.from_bytes(data[:8], "little")
        # What is made meanwhile does not move what was listed.
        (folder / "sub" / f"late-{cookie}").touch()
    assert len(seen) == 34
    assert len(set(seen)) == 34
    for cookie in (34, 35, 1 << 40, (1 << 64) - 1):
        assert console.call("fd_readdir", fd, DATA_AT, 50, cookie, OUT_AT) == 0
        assert console.u32() == 0
    assert console.call("fd_readdir", ROOT, DATA_AT, 0, 0, OUT_AT) == 0
    inside = console.call("fd_readdir", ROOT, MEMORY - 10, 50, 0, OUT_AT)
    assert inside == Errno.FAULT
    args = (ROOT, DATA_AT, 50, 0)
    assert console.call("fd_readdir", *args, MEMORY - 3) == Errno.FAULT
    assert console.call("fd_readdir", *args, MEMORY - 4) == 0
    file = console.opened(b"a.txt")
    assert console.call("fd_readdir", file, DATA_AT, 9, 0, OUT_AT) == Errno.NOTDIR


def test_a_listing_says_what_each_entry_is(console: Console, folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("sub")
    assert sorted(console.entries(ROOT)) == [
        (b".", 3),
        (b"..", 3),
        (b"a.txt", 4),
        (b"fifo", 0),
        (b"link", 7),
        (b"sub", 3),
    ]


def test_a_folder_with_too_many_entries_is_not_listed(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LISTED", 2)
    args = (ROOT, DATA_AT, 64, 0, OUT_AT)
    assert console.call("fd_readdir", *args) == Errno.OVERFLOW


def test_statistics(console: Console, folder: Path) -> None:
    assert console.call("path_filestat_get", ROOT, 1, b"a.txt", OUT_AT) == 0
    assert console.read(OUT_AT + 16, 1) == b"\x04"
    assert console.u64(OUT_AT + 32) == 5
    assert console.u64(OUT_AT + 48) == (folder / "a.txt").stat().st_mtime_ns
    assert console.call("fd_filestat_get", console.opened(b"sub"), OUT_AT) == 0
    assert console.read(OUT_AT + 16, 1) == b"\x03"
    assert console.u64(OUT_AT + 8) == (folder / "sub").stat().st_ino
    assert console.call("fd_filestat_get", console.opened(b"a.txt"), OUT_AT) == 0
    assert console.read(OUT_AT + 16, 1) == b"\x04"
    assert console.u64(OUT_AT + 32) == 5
    assert console.call("fd_filestat_get", 1, OUT_AT) == 0
    assert console.read(OUT_AT + 16, 1) == b"\x02"
    assert console.call("fd_filestat_get", 40, OUT_AT) == Errno.BADF
    missing = console.call("path_filestat_get", ROOT, 1, b"no", OUT_AT)
    assert missing == Errno.NOENT
    assert console.call("path_filestat_get", ROOT, 1, b".", OUT_AT) == 0


def test_an_output_is_a_terminal_to_c_and_a_file_is_none(console: Console) -> None:
    """wasi-libc's isatty: a device, and neither seeking nor telling among its rights;
    were it otherwise, lines would be kept back until a buffer is full."""
    seeking = 1 << 2 | 1 << 5
    for fd, kind, rights in (
        (1, 2, 0),
        (2, 2, 0),
        (ROOT, 3, seeking),
        (console.opened(b"a.txt"), 4, seeking),
    ):
        assert console.call("fd_fdstat_get", fd, OUT_AT) == 0
        assert console.read(OUT_AT, 4) == bytes([kind, 0, 0, 0])
        assert console.u64(OUT_AT + 8) & seeking == rights
    assert console.call("fd_fdstat_get", 40, OUT_AT) == Errno.BADF


def test_descriptors_are_bounded_and_their_numbers_used_again(console: Console) -> None:
    opened = [console.opened(b"a.txt") for _ in range(MAX_DESCRIPTORS - 4)]
    assert opened == list(range(4, MAX_DESCRIPTORS))
    assert console.open(b"a.txt")[0] == Errno.MFILE
    assert console.call("fd_close", 9) == 0
    assert console.call("fd_close", 9) == Errno.BADF
    assert console.opened(b"a.txt") == 9
    assert console.call("fd_renumber", 9, 10) == 0
    assert console.get(9)[0] == Errno.BADF
    assert console.get(10) == (0, b"hello")
    assert console.call("fd_renumber", 10, 10) == 0
    assert console.call("fd_renumber", 9, 10) == Errno.BADF
    assert console.call("fd_renumber", 10, ROOT) == Errno.NOTSUP
    sub = console.opened(b"sub", DIRECTORY)
    assert console.call("fd_renumber", sub, 10) == 0
    assert b"b.txt" in console.names(10)


def test_no_descriptor_outlives_the_guest(folder: Path, factory: MakerFactory) -> None:
    console = Console(factory, folders={folder: "rw"})
    gc.collect()
    before = open_descriptors()
    for _ in range(5):
        console.opened(b"a.txt")
        console.open(b"sub/../missing")
        console.open(b"sub/deep/../../../..")
        console.open(b"sub/deep/missing")
    assert open_descriptors() == before + 1 + 5
    assert isinstance(console.run("proc_exit", 0), Fault)
    console.opened(b"a.txt")  # in a new guest
    assert open_descriptors() == before + 1 + 1
    del console
    gc.collect()
    assert open_descriptors() == before


def test_the_quota_is_over_all_files_and_all_guests(folder: Path) -> None:
    limits = Limits(file_bytes=20_000)
    console = Console(folders={folder: "rw"}, limits=limits)
    # What others had put there gives nothing back beyond the limit.
    assert console.call("path_unlink_file", ROOT, b"a.txt") == 0
    fd = console.opened(b"big", CREAT, WRITE)
    assert console.write(fd, b"x" * 15_000) == 0
    assert console.write(fd, b"x" * 1_000) == Errno.DQUOT
    assert console.write(fd, b"x" * (5_000 - files.ENTRY_COST)) == 0
    assert console.write(fd, b"x") == Errno.DQUOT
    # What is full may be written over, and left as long as it is.
    assert console.call("fd_seek", fd, 0, 0, OUT_AT) == 0
    assert console.write(fd, b"y" * 15_000) == 0
    size = 20_000 - files.ENTRY_COST
    assert console.call("fd_filestat_set_size", fd, size) == 0
    assert console.call("fd_filestat_set_size", fd, 1 << 40) == Errno.DQUOT
    assert console.call("fd_filestat_set_size", fd, 1 << 63) == Errno.INVAL
    assert console.open(b"other", CREAT, WRITE)[0] == Errno.DQUOT
    assert not (folder / "other").exists()
    assert console.call("path_create_directory", ROOT, b"d") == Errno.DQUOT
    # A place far behind the end is a hole, and counts as what it looks like.
    assert console.call("fd_seek", fd, 1 << 50, 0, OUT_AT) == 0
    assert console.write(fd, b"x") == Errno.DQUOT
    # Failing does not give a new one; cutting gives back.
    assert isinstance(console.run("proc_exit", 1), Fault)
    assert console.open(b"other", CREAT, WRITE)[0] == Errno.DQUOT
    fd = console.opened(b"big", TRUNC, WRITE)
    assert console.write(fd, b"x" * 10_000) == 0
    # What is unlinked while it is open still takes its place.
    assert console.call("path_unlink_file", ROOT, b"big") == 0
    assert console.open(b"other", CREAT, WRITE)[0] == 0
    assert console.write(fd, b"x" * 10_000) == Errno.DQUOT


def test_what_is_removed_is_given_back(folder: Path) -> None:
    console = Console(folders={folder: "rw"}, limits=Limits(file_bytes=10_000))
    for _ in range(3):
        fd = console.opened(b"big", CREAT, WRITE)
        assert console.write(fd, b"x" * 5_000) == 0
        assert console.call("fd_close", fd) == 0
        assert console.call("path_create_directory", ROOT, b"d") == Errno.DQUOT
        assert console.call("path_rename", ROOT, b"big", ROOT, b"old") == 0
        assert console.call("path_unlink_file", ROOT, b"old") == 0
        assert console.call("path_create_directory", ROOT, b"d") == 0
        assert console.call("path_create_directory", ROOT, b"e") == 0
        assert console.call("path_create_directory", ROOT, b"f") == Errno.DQUOT
        # A folder that is renamed over another takes its place.
        assert console.call("path_rename", ROOT, b"d", ROOT, b"e") == 0
        assert console.call("path_create_directory", ROOT, b"d") == 0
        assert console.call("path_remove_directory", ROOT, b"d") == 0
        assert console.call("path_remove_directory", ROOT, b"e") == 0


def test_of_a_file_with_another_name_only_the_name_is_given_back(folder: Path) -> None:
    console = Console(folders={folder: "rw"}, limits=Limits(file_bytes=10_000))
    fd = console.opened(b"big", CREAT, WRITE)
    assert console.write(fd, b"x" * 5_000) == 0
    assert console.call("fd_close", fd) == 0
    (folder / "same").hardlink_to(folder / "big")
    assert console.call("path_unlink_file", ROOT, b"big") == 0
    fd = console.opened(b"new", CREAT, WRITE)
    assert console.write(fd, b"x" * 5_000) == Errno.DQUOT


def test_a_file_renamed_to_its_own_name_gives_nothing_back(folder: Path) -> None:
    console = Console(folders={folder: "rw"}, limits=Limits(file_bytes=10_000))
    fd = console.opened(b"big", CREAT, WRITE)
    assert console.write(fd, b"x" * 5_000) == 0
    assert console.call("fd_close", fd) == 0
    for to in (b"big", b"./big", b"sub/../big"):
        assert console.call("path_rename", ROOT, b"big", ROOT, to) == 0
        assert console.call("path_create_directory", ROOT, b"d") == Errno.DQUOT
    assert (folder / "big").stat().st_size == 5_000


def test_a_file_renamed_over_a_link_to_itself_gives_nothing_back(folder: Path) -> None:
    """The system does nothing then: both names stay (POSIX, rename)."""
    console = Console(folders={folder: "rw"}, limits=Limits(file_bytes=10_000))
    fd = console.opened(b"big", CREAT, WRITE)
    assert console.write(fd, b"x" * 5_000) == 0
    assert console.call("fd_close", fd) == 0
    (folder / "same").hardlink_to(folder / "big")
    for _ in range(3):
        assert console.call("path_rename", ROOT, b"big", ROOT, b"same") == 0
    assert console.call("path_create_directory", ROOT, b"d") == Errno.DQUOT


def test_writing_at_a_place_of_a_file_that_appends_is_within_the_quota(
    folder: Path,
) -> None:
    """Linux puts it at the end, whatever the place."""
    console = Console(folders={folder: "rw"}, limits=Limits(file_bytes=10_000))
    args = (ROOT, 1, b"log", CREAT, WRITE, WRITE, 1, OUT_AT)
    assert console.call("path_open", *args) == 0
    fd = console.u32()
    assert console.write(fd, b"x" * 5_000) == 0
    for _ in range(3):
        assert console.call("fd_pwrite", fd, DATA_AT, 1, 0, OUT_AT) == Errno.DQUOT
    assert (folder / "log").stat().st_size == 5_000


HOSTILE = [
    # (iovecs, their count, errno)
    ([(DATA_AT + 64, 1 << 31)], 1, Errno.FAULT),
    ([(MEMORY, 1)], 1, Errno.FAULT),
    ([((1 << 32) - 1, (1 << 32) - 1)], 1, Errno.FAULT),
    ([(0, 4), (MEMORY - 3, 4)], 2, Errno.FAULT),
    ([], 1025, Errno.INVAL),
    ([], (1 << 32) - 1, Errno.INVAL),
]


@pytest.mark.parametrize(("vectors", "count", "errno"), HOSTILE)
@pytest.mark.parametrize("name", ["fd_read", "fd_write"])
def test_buffers_outside_of_memory(
    name: str,
    vectors: list[tuple[int, int]],
    count: int,
    errno: Errno,
    console: Console,
    folder: Path,
) -> None:
    fd = console.opened(b"a.txt", 0, BOTH)
    assert console.guest.write(
        DATA_AT, b"".join(struct.pack("<II", *one) for one in vectors)
    )
    for one in (fd,) if name == "fd_read" else (fd, 1):
        assert console.call(name, one, DATA_AT, count, OUT_AT) == errno
        assert console.call(name, one, MEMORY - 4, 2, OUT_AT) == Errno.FAULT
    assert (folder / "a.txt").read_bytes() == b"hello"


def test_a_result_that_cannot_be_stored_leaves_nothing_done(
    console: Console, folder: Path
) -> None:
    fd = console.opened(b"a.txt", 0, BOTH)
    assert console.guest.write(DATA_AT, struct.pack("<II", DATA_AT + 64, 3))
    for at in (MEMORY - 3, MEMORY, (1 << 32) - 1):
        assert console.call("fd_write", fd, DATA_AT, 1, at) == Errno.FAULT
        assert console.call("fd_read", fd, DATA_AT, 1, at) == Errno.FAULT
        assert console.call("fd_seek", fd, 4, 0, at) == Errno.FAULT
        args = (ROOT, 1, b"new", CREAT, WRITE, 0, 0, at)
        assert console.call("path_open", *args) == Errno.FAULT
    assert not (folder / "new").exists()
    assert (folder / "a.txt").read_bytes() == b"hello"
    assert console.get(fd) == (0, b"hello")
    # The last place there is does.
    assert console.call("fd_read", fd, DATA_AT, 1, MEMORY - 4) == 0
    assert console.call("fd_tell", fd, MEMORY - 8) == 0
    assert console.u64(MEMORY - 8) == 5


def test_buffers_that_overlap_are_filled_in_order(console: Console) -> None:
    fd = console.opened(b"a.txt")
    spans = [(DATA_AT + 64, 3), (DATA_AT + 65, 2)]
    assert console.guest.write(
        DATA_AT, b"".join(struct.pack("<II", *one) for one in spans)
    )
    assert console.call("fd_read", fd, DATA_AT, 2, OUT_AT) == 0
    assert console.u32() == 5
    assert console.read(DATA_AT + 64, 3) == b"hlo"


def test_reading_takes_from_the_budget(folder: Path) -> None:
    (folder / "large").write_bytes(b"x" * 100_000)
    console = Console(folders={folder: "ro"}, limits=Limits(host_bytes=50_000))
    fd = console.opened(b"large")
    assert console.guest.write(DATA_AT, struct.pack("<II", DATA_AT + 64, 100_000))
    fault = console.run("fd_read", fd, DATA_AT, 1, OUT_AT)
    assert fault is not None
    assert fault.kind is FaultKind.HOST_BUDGET


def test_outputs_are_no_files(console: Console) -> None:
    assert console.call("fd_seek", 1, 0, 0, OUT_AT) == Errno.NOTSUP
    assert console.call("fd_tell", 2, OUT_AT) == Errno.NOTSUP
    assert console.call("fd_seek", ROOT, 0, 0, OUT_AT) == Errno.ISDIR
    assert console.get(0) == (0, b"")
    assert console.get(1)[0] == Errno.NOTSUP
    assert console.write(0, b"x") == Errno.NOTSUP
    assert console.call("fd_sync", 1) == Errno.NOTSUP
    assert console.call("fd_sync", console.opened(b"a.txt")) == 0
    assert console.call("fd_advise", console.opened(b"a.txt"), 0, 0, 0) == 0
    assert console.call("fd_fdstat_set_flags", 1, 4) == 0
    assert console.call("fd_fdstat_set_flags", 50, 4) == Errno.BADF
    assert console.call("fd_fdstat_get", 50, OUT_AT) == Errno.BADF
    for name in ("sock_recv", "sock_send", "sock_accept", "fd_allocate", "proc_raise"):
        assert console.call(name, *[1] * 6) == Errno.NOTSUP


def test_a_folder_that_is_not_there_stops_the_start(
    tmp_path: Path, factory: MakerFactory
) -> None:
    console = Console(factory, folders={tmp_path / "gone": "ro"})
    fault = console.instance.start()
    assert isinstance(fault, Fault)
    assert str(fault) == (
        f"could not be started: files:{tmp_path}/gone: cannot be opened: "
        "No such file or directory"
    )


def test_a_disk_that_fails_is_an_answer(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    fd = console.opened(b"a.txt", 0, BOTH)

    def fails(*_args: object) -> int:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(os, "pread", fails)
    monkeypatch.setattr(os, "pwrite", fails)
    assert console.get(fd)[0] == Errno.IO
    assert console.write(fd, b"x") == Errno.IO
