"""The table of WASI's functions: signatures, and what each does here. Pure data."""

from collections.abc import Mapping
from types import MappingProxyType

from int3rceptor.plugins.abi.codes import WASI_MODULE
from int3rceptor.plugins.abi.rows import AMBIENT, BASE, HostFunction, Need
from int3rceptor.plugins.abi.wasi_codes import FAILURES

_WIDE = frozenset(
    (
        *("atim", "mtim", "cookie", "inheriting", "length", "offset"),
        *("precision", "rights", "size"),
    )
)
"""The parameters that are i64, whichever function takes them."""

_IO = "iovs_ptr iovs_len"
_PATH = "path_ptr path_len"


def _row(name: str, params: str, does: str, need: Need = BASE) -> HostFunction:
    names = tuple(params.split())
    return HostFunction(
        name=name,
        params=names,
        need=need,
        hooks=(),
        does=does,
        returns="errno",
        errors=(),
        cost="1 call, the bytes moved",
        wide=_WIDE.intersection(names),
        failures=FAILURES,
        module=WASI_MODULE,
    )


PROCESS = (
    _row("args_get", "argv_at buf_at", "the plugin's name, then `[wasi] args`"),
    _row("args_sizes_get", "count_at size_at", "how many, and how many bytes"),
    _row("environ_get", "environ_at buf_at", "`[wasi] env`; nothing of the host's"),
    _row("environ_sizes_get", "count_at size_at", "how many, and how many bytes"),
    _row("clock_res_get", "clock result_at", "1 ms", AMBIENT),
    _row(
        "clock_time_get",
        "clock precision result_at",
        "the time (0) and a clock that never goes back (1), in whole milliseconds; "
        "`NOTSUP` for the clocks of CPU time",
        AMBIENT,
    ),
    _row("random_get", "buf_ptr buf_len", "random bytes", AMBIENT),
    _row("sched_yield", "", "nothing: there is nobody to yield to"),
    _row(
        "poll_oneoff",
        "in_at out_at count result_at",
        "never waits: the clock that would ring first has rung, and the monotonic "
        "clock has moved on; descriptors are always ready",
    ),
    HostFunction(
        name="proc_exit",
        params=("code",),
        need=BASE,
        hooks=(),
        does="ends the call as a fault, whatever the code; the instance is built anew",
        returns="",
        errors=(),
        cost="1 call",
        result="",
        failures=FAILURES,
        module=WASI_MODULE,
    ),
)

DESCRIPTORS = (
    _row("fd_write", f"fd {_IO} result_at", "1 and 2 are the log; else a file"),
    _row("fd_read", f"fd {_IO} result_at", "0 is at its end; else a file"),
    _row("fd_pread", f"fd {_IO} offset result_at", "reads at a place"),
    _row(
        "fd_pwrite",
        f"fd {_IO} offset result_at",
        "writes at a place, or at the end with APPEND",
    ),
    _row("fd_seek", "fd offset whence result_at", "moves; `NOTSUP` but for files"),
    _row("fd_tell", "fd result_at", "where it is; `NOTSUP` but for files"),
    _row("fd_close", "fd", "closes"),
    _row("fd_renumber", "fd to", "moves a descriptor; `NOTSUP` for a granted folder"),
    _row("fd_sync", "fd", "writes what the system holds back to the disk"),
    _row("fd_datasync", "fd", "the same"),
    _row("fd_advise", "fd offset length advice", "nothing"),
    _row("fd_allocate", "fd offset length", "`NOTSUP`"),
    _row("fd_fdstat_get", "fd result_at", "its type and flags; every right is shown"),
    _row("fd_fdstat_set_flags", "fd flags", "APPEND of files; others mean nothing"),
    _row("fd_fdstat_set_rights", "fd rights inheriting", "`NOTSUP`"),
    _row("fd_filestat_get", "fd result_at", "type, size and times"),
    _row("fd_filestat_set_size", "fd size", "cuts or extends, within the quota"),
    _row("fd_filestat_set_times", "fd atim mtim flags", "`NOTSUP`"),
    _row("fd_prestat_get", "fd result_at", "from 3 on: the granted folders"),
    _row("fd_prestat_dir_name", f"fd {_PATH}", "the folder's path, as granted"),
    _row("fd_readdir", "fd buf_ptr buf_len cookie result_at", "lists a folder"),
)

PATHS = (
    _row(
        "path_open",
        f"fd lookup {_PATH} oflags rights inheriting fdflags result_at",
        "opens or makes a file (0600), opens a folder",
    ),
    _row("path_create_directory", f"fd {_PATH}", "makes a folder (0700)"),
    _row("path_remove_directory", f"fd {_PATH}", "removes an empty folder"),
    _row("path_unlink_file", f"fd {_PATH}", "removes a file"),
    _row(
        "path_rename",
        f"fd {_PATH} to_fd to_ptr to_len",
        "renames within one granted folder; `XDEV` between two",
    ),
    _row("path_filestat_get", f"fd lookup {_PATH} result_at", "type, size and times"),
    _row(
        "path_filestat_set_times",
        f"fd lookup {_PATH} atim mtim flags",
        "`NOTSUP`",
    ),
    _row("path_link", f"fd lookup {_PATH} to_fd to_ptr to_len", "`NOTSUP`"),
    _row("path_symlink", f"{_PATH} fd to_ptr to_len", "`NOTSUP`"),
    _row("path_readlink", f"fd {_PATH} buf_ptr buf_len result_at", "`NOTSUP`"),
)

ABSENT = (
    _row("proc_raise", "signal", "`NOTSUP`"),
    _row("sock_accept", "fd flags result_at", "`NOTSUP`"),
    _row("sock_recv", f"fd {_IO} flags result_at flags_at", "`NOTSUP`"),
    _row("sock_send", f"fd {_IO} flags result_at", "`NOTSUP`"),
    _row("sock_shutdown", "fd how", "`NOTSUP`"),
)

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "writes to its log": ("fd_write",),
        "reads its arguments and environment": (
            *("args_get", "args_sizes_get", "environ_get", "environ_sizes_get"),
        ),
        "reads the clock and random bytes": (
            *("clock_res_get", "clock_time_get", "random_get", "poll_oneoff"),
        ),
        "may end its own call": ("proc_exit",),
        "reads and lists files, in folders that it is granted": (
            *("fd_read", "fd_pread", "fd_readdir", "path_open", "path_filestat_get"),
        ),
        "changes files, in folders that it is granted for writing": (
            *("fd_pwrite", "fd_filestat_set_size", "path_create_directory"),
            *("path_remove_directory", "path_unlink_file", "path_rename"),
        ),
        "asks for what no plugin gets": (
            *(row.name for row in ABSENT),
            *("fd_allocate", "fd_fdstat_set_rights", "fd_filestat_set_times"),
            *("path_filestat_set_times", "path_link", "path_readlink", "path_symlink"),
        ),
    }
)
"""What a module's imports tell, in plain words; those left out open and close."""

WASI: Mapping[str, HostFunction] = MappingProxyType(
    {row.name: row for row in (*PROCESS, *DESCRIPTORS, *PATHS, *ABSENT)}
)
"""All of preview 1, by name."""
