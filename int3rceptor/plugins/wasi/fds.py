"""WASI's functions on descriptors: the log through 1 and 2, files, granted folders."""

import errno
import os
import struct

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.abi.wasi_codes import (
    ALL_RIGHTS,
    FDFLAG_APPEND,
    Errno,
    FileType,
    Whence,
)
from int3rceptor.plugins.wasi import files
from int3rceptor.plugins.wasi.descriptors import FIRST_FOLDER, File, Folder, Input
from int3rceptor.plugins.wasi.errnos import answering
from int3rceptor.plugins.wasi.memory import (
    gather,
    iovecs,
    is_inside,
    put,
    put_u32,
    put_u64,
    scatter,
)
from int3rceptor.plugins.wasi.output import Output
from int3rceptor.plugins.wasi.state import Wasi

MAX_OFFSET = (1 << 63) - 1
"""Places in a file are signed 64-bit numbers to the system."""

_FDSTAT = struct.Struct("<BxH4xQQ")
_FILESTAT = struct.Struct("<QQB7xQQQQQ")
_PRESTAT = struct.Struct("<B3xI")
_DIRENT = struct.Struct("<QQIB3x")
_U64 = 0xFFFF_FFFF_FFFF_FFFF


def filestat(found: os.stat_result) -> bytes:
    """What WASI tells of a file or a folder."""
    return _FILESTAT.pack(
        found.st_dev & _U64,
        found.st_ino & _U64,
        files.kind_of(found.st_mode),
        found.st_nlink,
        found.st_size,
        *(
            ns & _U64
            for ns in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)
        ),
    )


def _file(wasi: Wasi, fd: int) -> File:
    """The file; OSError when the number stands for nothing, or for something else."""
    one = wasi.descriptors.get(fd)
    if isinstance(one, File):
        return one
    if isinstance(one, Folder):
        raise IsADirectoryError(errno.EISDIR, "a folder")
    raise OSError(errno.EBADF if one is None else errno.EOPNOTSUPP, "no file")


def folder_of(wasi: Wasi, fd: int) -> Folder:
    """The folder; OSError when the number stands for nothing, or for something else."""
    one = wasi.descriptors.get(fd)
    if isinstance(one, Folder):
        return one
    raise OSError(errno.EBADF if one is None else errno.ENOTDIR, "no folder")


def _readable(wasi: Wasi, fd: int) -> File:
    file = _file(wasi, fd)
    if not file.may_read:
        raise OSError(errno.EBADF, "not open for reading")
    return file


def _writable(wasi: Wasi, fd: int) -> File:
    file = _file(wasi, fd)
    if not file.may_write:
        raise OSError(errno.EBADF, "not open for writing")
    return file


def _spans(
    wasi: Wasi, vectors: tuple[int, int], result_at: int
) -> list[tuple[int, int]] | int:
    """The buffers, if how much was moved can be stored, too."""
    spans = iovecs(wasi.host, *vectors)
    is_told = is_inside(wasi.host, result_at, 4)
    return spans if is_told or isinstance(spans, int) else Status.BAD_POINTER


def _given(wasi: Wasi, vectors: tuple[int, int], result_at: int) -> bytes | int:
    """What the guest wants written."""
    spans = _spans(wasi, vectors, result_at)
    if isinstance(spans, int):
        return spans
    data = gather(wasi.host, spans)
    return Status.TOO_LARGE if data is None else data


@answering
def fd_write(wasi: Wasi, fd: int, iovs: int, count: int, result_at: int) -> int:
    """fd_write."""
    output = wasi.descriptors.get(fd)
    if not isinstance(output, Output):
        file = _writable(wasi, fd)
        return _write(wasi, file, (iovs, count), file.offset, result_at, moves=True)
    data = _given(wasi, (iovs, count), result_at)
    if isinstance(data, int):
        return data
    output.write(data)
    return put_u32(wasi.host, result_at, len(data))


@answering
def fd_pwrite(
    wasi: Wasi, fd: int, iovs: int, count: int, offset: int, result_at: int
) -> int:
    """fd_pwrite."""
    file = _writable(wasi, fd)
    return _write(wasi, file, (iovs, count), offset, result_at, moves=False)


def _write(
    wasi: Wasi,
    file: File,
    vectors: tuple[int, int],
    at: int,
    result_at: int,
    *,
    moves: bool,
) -> int:
    data = _given(wasi, vectors, result_at)
    if isinstance(data, int):
        return data
    if file.is_append:  # the system puts it there, whatever the place
        at = files.size_of(file.number)
    if at + len(data) > MAX_OFFSET:
        return Errno.FBIG
    written = files.write_at(file.number, data, at, wasi.quota)
    if moves:
        file.offset = at + written
    return put_u32(wasi.host, result_at, written)


@answering
def fd_read(wasi: Wasi, fd: int, iovs: int, count: int, result_at: int) -> int:
    """fd_read."""
    if isinstance(wasi.descriptors.get(fd), Input):
        return put_u32(wasi.host, result_at, 0)
    file = _readable(wasi, fd)
    return _read(wasi, file, (iovs, count), file.offset, result_at, moves=True)


@answering
def fd_pread(
    wasi: Wasi, fd: int, iovs: int, count: int, offset: int, result_at: int
) -> int:
    """fd_pread."""
    file = _readable(wasi, fd)
    return _read(wasi, file, (iovs, count), offset, result_at, moves=False)


def _read(
    wasi: Wasi,
    file: File,
    vectors: tuple[int, int],
    at: int,
    result_at: int,
    *,
    moves: bool,
) -> int:
    spans = _spans(wasi, vectors, result_at)
    if isinstance(spans, int):
        return spans
    size = sum(length for _, length in spans)
    if at + size > MAX_OFFSET:
        return Errno.INVAL
    data = os.pread(file.number, size, at)
    status = scatter(wasi.host, spans, data)
    if status:
        return status
    if moves:
        file.offset = at + len(data)
    return put_u32(wasi.host, result_at, len(data))


@answering
def fd_seek(wasi: Wasi, fd: int, offset: int, whence: int, result_at: int) -> int:
    """fd_seek."""
    file = _file(wasi, fd)
    distance = offset - (1 << 64) if offset > MAX_OFFSET else offset
    if whence == Whence.SET:
        place = distance
    elif whence == Whence.CUR:
        place = file.offset + distance
    elif whence == Whence.END:
        place = files.size_of(file.number) + distance
    else:
        return Errno.INVAL
    if not 0 <= place <= MAX_OFFSET:
        return Errno.INVAL
    status = put_u64(wasi.host, result_at, place)
    if not status:
        file.offset = place
    return status


@answering
def fd_tell(wasi: Wasi, fd: int, result_at: int) -> int:
    """fd_tell."""
    return put_u64(wasi.host, result_at, _file(wasi, fd).offset)


def fd_close(wasi: Wasi, fd: int) -> int:
    """fd_close."""
    if wasi.descriptors.get(fd) is None:
        return Errno.BADF
    wasi.descriptors.close(fd)
    return Errno.SUCCESS


def fd_renumber(wasi: Wasi, fd: int, to: int) -> int:
    """fd_renumber."""
    ends = (wasi.descriptors.get(fd), wasi.descriptors.get(to))
    if None in ends:
        return Errno.BADF
    if any(isinstance(one, Folder) and one.granted_as for one in ends):
        return Errno.NOTSUP
    if fd != to:
        wasi.descriptors.move(fd, to)
    return Errno.SUCCESS


@answering
def fd_sync(wasi: Wasi, fd: int) -> int:
    """fd_sync, fd_datasync."""
    os.fsync(_file(wasi, fd).number)
    return Errno.SUCCESS


@answering
def fd_advise(wasi: Wasi, fd: int, _offset: int, _length: int, _advice: int) -> int:
    """fd_advise: it is advice."""
    _file(wasi, fd)
    return Errno.SUCCESS


def fd_fdstat_get(wasi: Wasi, fd: int, result_at: int) -> int:
    """fd_fdstat_get."""
    one = wasi.descriptors.get(fd)
    if one is None:
        return Errno.BADF
    flags = FDFLAG_APPEND if isinstance(one, File) and one.is_append else 0
    # Were seeking among the rights of an output, C would not take it for a terminal,
    # and keep back what was printed until its buffer is full.
    rights = ALL_RIGHTS
    if one.kind is FileType.CHARACTER_DEVICE:
        rights &= ~_SEEKING
    return put(wasi.host, result_at, _FDSTAT.pack(one.kind, flags, rights, rights))


_SEEKING = (1 << 2) | (1 << 5)


@answering
def fd_fdstat_set_flags(wasi: Wasi, fd: int, flags: int) -> int:
    """fd_fdstat_set_flags: nothing here ever blocks, and nothing is written late."""
    one = wasi.descriptors.get(fd)
    if one is None:
        return Errno.BADF
    if isinstance(one, File):
        one.is_append = bool(flags & FDFLAG_APPEND)
        files.set_append(one.number, is_on=one.is_append)
    return Errno.SUCCESS


@answering
def fd_filestat_get(wasi: Wasi, fd: int, result_at: int) -> int:
    """fd_filestat_get."""
    one = wasi.descriptors.get(fd)
    if isinstance(one, File | Folder):
        return put(wasi.host, result_at, filestat(os.fstat(one.number)))
    if one is None:
        return Errno.BADF
    return put(wasi.host, result_at, _FILESTAT.pack(0, 0, one.kind, *[0] * 5))


@answering
def fd_filestat_set_size(wasi: Wasi, fd: int, size: int) -> int:
    """fd_filestat_set_size."""
    if size > MAX_OFFSET:
        return Errno.INVAL
    files.resize(_writable(wasi, fd).number, size, wasi.quota)
    return Errno.SUCCESS


def fd_prestat_get(wasi: Wasi, fd: int, result_at: int) -> int:
    """fd_prestat_get: guests ask from 3 on, until BADF."""
    one = wasi.descriptors.get(fd)
    if fd < FIRST_FOLDER or not isinstance(one, Folder) or not one.granted_as:
        return Errno.BADF
    length = len(one.granted_as.encode())
    return put(wasi.host, result_at, _PRESTAT.pack(0, length))


def fd_prestat_dir_name(wasi: Wasi, fd: int, address: int, room: int) -> int:
    """fd_prestat_dir_name."""
    one = wasi.descriptors.get(fd)
    if not isinstance(one, Folder) or not one.granted_as:
        return Errno.BADF
    name = one.granted_as.encode()
    return put(wasi.host, address, name) if len(name) <= room else Errno.NAMETOOLONG


@answering
def fd_readdir(
    wasi: Wasi, fd: int, address: int, room: int, cookie: int, result_at: int
) -> int:
    """fd_readdir: what was there at cookie 0, for all cookies that follow."""
    folder = folder_of(wasi, fd)
    if not is_inside(wasi.host, address, room) or not is_inside(
        wasi.host, result_at, 4
    ):
        return Status.BAD_POINTER
    if cookie == 0:
        folder.listing = files.listing(folder.number)
        if not wasi.host.spend(_DIRENT.size * len(folder.listing)):
            return Status.TOO_LARGE
    filled = bytearray()
    for next_cookie, entry in enumerate(folder.listing[cookie:], cookie + 1):
        name, number, kind = entry
        filled += _DIRENT.pack(next_cookie, number & _U64, len(name), kind) + name
        if len(filled) >= room:
            break
    status = put(wasi.host, address, bytes(filled[:room]))
    return status or put_u32(wasi.host, result_at, min(len(filled), room))
