"""WASI's functions on paths, each under a folder that is open."""

import errno
import os
import stat
from dataclasses import dataclass

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.abi.wasi_codes import (
    FDFLAG_APPEND,
    LOOKUP_FOLLOW,
    RIGHT_READ,
    RIGHT_WRITE,
    Errno,
    OpenFlags,
)
from int3rceptor.plugins.wasi import files
from int3rceptor.plugins.wasi.descriptors import File, Folder
from int3rceptor.plugins.wasi.errnos import answering
from int3rceptor.plugins.wasi.fds import filestat, folder_of
from int3rceptor.plugins.wasi.memory import is_inside, put, put_u32
from int3rceptor.plugins.wasi.state import Wasi


def _path(wasi: Wasi, address: int, length: int) -> bytes:
    """The path in the guest's memory; OSError if it is none."""
    if length > files.MAX_PATH_BYTES:
        raise OSError(errno.ENAMETOOLONG, "a long path")
    path = wasi.host.read(address, length)
    if path is None:
        raise OSError(errno.EFAULT, "outside of the memory")
    return path


def _changeable(wasi: Wasi, fd: int) -> Folder:
    folder = folder_of(wasi, fd)
    if not folder.may_write:
        raise OSError(errno.EROFS, "granted for reading only")
    return folder


@dataclass(slots=True, frozen=True, kw_only=True)
class _Wish:
    """How a path is to be opened."""

    flags: OpenFlags
    may_read: bool
    may_write: bool
    is_append: bool

    @property
    def is_change(self) -> bool:
        """Whether something may be made or changed."""
        return self.may_write or bool(self.flags & (OpenFlags.CREAT | OpenFlags.TRUNC))

    @property
    def must_be_new(self) -> bool:
        """Whether what is there already is a failure."""
        exclusive = OpenFlags.CREAT | OpenFlags.EXCL
        return self.flags & exclusive == exclusive


@answering
def path_open(
    wasi: Wasi,
    fd: int,
    _lookup: int,
    path_at: int,
    path_len: int,
    oflags: int,
    rights: int,
    _inheriting: int,
    fdflags: int,
    result_at: int,
) -> int:
    """path_open: for reading, for writing or both, as the rights that are asked say."""
    path, folder = _path(wasi, path_at, path_len), folder_of(wasi, fd)
    wish = _Wish(
        flags=OpenFlags(oflags & _KNOWN_FLAGS),
        may_read=bool(rights & RIGHT_READ),
        may_write=bool(rights & RIGHT_WRITE),
        is_append=bool(fdflags & FDFLAG_APPEND),
    )
    if not is_inside(wasi.host, result_at, 4):
        return Status.BAD_POINTER
    if wasi.descriptors.is_full():
        return Errno.MFILE
    if wish.is_change and not folder.may_write:
        return Errno.ROFS
    with files.ending(folder.number, path) as where:
        opened = _opened(wasi, folder, where, wish)
    return put_u32(wasi.host, result_at, wasi.descriptors.add(opened))


_KNOWN_FLAGS = 15


def _opened(
    wasi: Wasi, folder: Folder, where: tuple[int, bytes], wish: _Wish
) -> File | Folder:
    """Open what is there, or make it."""
    found = files.look(*where)
    if found is not None:
        files.require_plain(found)
        if wish.must_be_new:
            raise FileExistsError(errno.EEXIST, "is there already")
        if stat.S_ISDIR(found.st_mode):
            if wish.is_change:
                raise IsADirectoryError(errno.EISDIR, "a folder")
            number = files.open_folder(*where)
            return Folder(number, folder.grant, folder.may_write)
    if wish.flags & OpenFlags.DIRECTORY:
        missing = errno.ENOENT if found is None else errno.ENOTDIR
        raise OSError(missing, "no folder")
    is_new = found is None and bool(wish.flags & OpenFlags.CREAT)
    # Cutting needs a descriptor for writing, which the guest's own need not be.
    flags = os.O_RDWR if wish.is_change else os.O_RDONLY
    flags |= os.O_APPEND if wish.is_append else 0
    number = files.open_file(*where, flags, wasi.quota if is_new else None)
    if wish.flags & OpenFlags.TRUNC and not is_new:
        files.resize(number, 0, wasi.quota)
    return File(number, wish.may_read, wish.may_write, wish.is_append)


@answering
def path_create_directory(wasi: Wasi, fd: int, path_at: int, path_len: int) -> int:
    """path_create_directory."""
    path, folder = _path(wasi, path_at, path_len), _changeable(wasi, fd)
    with files.ending(folder.number, path, is_entry=True) as (parent, name):
        wasi.quota.require(files.ENTRY_COST)
        os.mkdir(name, files.FOLDER_MODE, dir_fd=parent)
        wasi.quota.add(files.ENTRY_COST)
    return Errno.SUCCESS


@answering
def path_remove_directory(wasi: Wasi, fd: int, path_at: int, path_len: int) -> int:
    """path_remove_directory."""
    path, folder = _path(wasi, path_at, path_len), _changeable(wasi, fd)
    with files.ending(folder.number, path, is_entry=True) as (parent, name):
        os.rmdir(name, dir_fd=parent)
        wasi.quota.add(-files.ENTRY_COST)
    return Errno.SUCCESS


@answering
def path_unlink_file(wasi: Wasi, fd: int, path_at: int, path_len: int) -> int:
    """path_unlink_file."""
    path, folder = _path(wasi, path_at, path_len), _changeable(wasi, fd)
    with files.ending(folder.number, path) as (parent, name):
        found = _present(parent, name)
        if stat.S_ISDIR(found.st_mode):
            return Errno.ISDIR
        os.unlink(name, dir_fd=parent)
        wasi.count_removed(found)
    return Errno.SUCCESS


def _present(parent: int, name: bytes) -> os.stat_result:
    """A file or folder that is there; OSError if not, or if it is anything else."""
    found = files.look(parent, name)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "not there")
    files.require_plain(found)
    return found


@answering
def path_rename(
    wasi: Wasi,
    fd: int,
    path_at: int,
    path_len: int,
    to_fd: int,
    to_at: int,
    to_len: int,
) -> int:
    """path_rename."""
    path, folder = _path(wasi, path_at, path_len), _changeable(wasi, fd)
    to_path, to_folder = _path(wasi, to_at, to_len), _changeable(wasi, to_fd)
    if folder.grant != to_folder.grant:
        return Errno.XDEV
    with (
        files.ending(folder.number, path, is_entry=True) as (parent, name),
        files.ending(to_folder.number, to_path, is_entry=True) as (to_parent, to_name),
    ):
        found = _present(parent, name)
        replaced = files.look(to_parent, to_name)
        if replaced is not None:
            files.require_plain(replaced)
            if os.path.samestat(found, replaced):
                return Errno.SUCCESS  # the system does nothing: both names stay
        os.rename(name, to_name, src_dir_fd=parent, dst_dir_fd=to_parent)
        if replaced is not None:
            wasi.count_removed(replaced)
    return Errno.SUCCESS


@answering
def path_filestat_get(
    wasi: Wasi, fd: int, lookup: int, path_at: int, path_len: int, result_at: int
) -> int:
    """path_filestat_get."""
    path, folder = _path(wasi, path_at, path_len), folder_of(wasi, fd)
    with files.ending(folder.number, path) as (parent, name):
        found = files.look(parent, name)
    if found is None:
        return Errno.NOENT
    if lookup & LOOKUP_FOLLOW and stat.S_ISLNK(found.st_mode):
        return Errno.LOOP
    return put(wasi.host, result_at, filestat(found))
