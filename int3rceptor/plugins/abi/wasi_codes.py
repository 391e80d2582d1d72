"""The numbers of WASI preview 1 that plugins meet. Pure data."""

from enum import IntEnum, IntFlag

from int3rceptor.plugins.abi.codes import Status


class Errno(IntEnum):
    """What a WASI function answers; 0 is success."""

    SUCCESS = 0
    ACCES = 2
    BADF = 8
    BUSY = 10
    DQUOT = 19
    EXIST = 20
    FAULT = 21
    FBIG = 22
    INVAL = 28
    IO = 29
    ISDIR = 31
    LOOP = 32
    MFILE = 33
    NAMETOOLONG = 37
    NOENT = 44
    NOSPC = 51
    NOTDIR = 54
    NOTEMPTY = 55
    NOTSOCK = 57
    NOTSUP = 58
    OVERFLOW = 61
    PERM = 63
    ROFS = 69
    XDEV = 75
    NOTCAPABLE = 76


FAILURES: dict[int, int] = {
    **dict.fromkeys(Status, Errno.IO),
    Status.BAD_POINTER: Errno.FAULT,
    Status.BAD_ARGUMENT: Errno.INVAL,
    Status.NO_PERMISSION: Errno.NOTCAPABLE,
}
"""What the gates and the memory answer, in WASI's numbers."""


class Clock(IntEnum):
    """The clocks; those of CPU time are not here: they would only tell of our load."""

    REALTIME = 0
    MONOTONIC = 1


class FileType(IntEnum):
    """What a descriptor or a folder's entry is."""

    UNKNOWN = 0
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SYMBOLIC_LINK = 7


class Whence(IntEnum):
    """Where a seek counts from."""

    SET = 0
    CUR = 1
    END = 2


class OpenFlags(IntFlag):
    """The oflags of path_open."""

    CREAT = 1
    DIRECTORY = 2
    EXCL = 4
    TRUNC = 8


FDFLAG_APPEND = 1
"""The one fdflag with a meaning here: writes go to the end."""

RIGHT_READ, RIGHT_WRITE = 1 << 1, 1 << 6
"""Of those that path_open asks for, the two that say how a file is to be opened.
Libraries ask for most of the others whatever they mean to do."""

ALL_RIGHTS = (1 << 30) - 1
"""What every descriptor is said to have: who may do what is judged when it is done."""

LOOKUP_FOLLOW = 1
SUBSCRIPTION_ABSTIME = 1


class EventType(IntEnum):
    """What poll_oneoff is asked to wait for."""

    CLOCK = 0
    FD_READ = 1
    FD_WRITE = 2
