"""WASI's functions by name, and how they are bound to one instance's state."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, cast

from int3rceptor.plugins.abi.wasi import WASI
from int3rceptor.plugins.engine.boundary import HostCall
from int3rceptor.plugins.host.host import Host, bind
from int3rceptor.plugins.wasi import fds, paths, process
from int3rceptor.plugins.wasi.state import Wasi


class WasiAct(Protocol):
    """A function of WASI before it is bound: the state first, then its parameters."""

    def __call__(self, wasi: Wasi, *values: int) -> int:
        """Act; an errno, or a status that is told as one. It never raises."""
        ...


_ACTS: Mapping[str, object] = {
    "args_get": process.args_get,
    "args_sizes_get": process.args_sizes_get,
    "environ_get": process.environ_get,
    "environ_sizes_get": process.environ_sizes_get,
    "clock_res_get": process.clock_res_get,
    "clock_time_get": process.clock_time_get,
    "random_get": process.random_get,
    "sched_yield": process.sched_yield,
    "poll_oneoff": process.poll_oneoff,
    "proc_exit": process.proc_exit,
    "fd_write": fds.fd_write,
    "fd_read": fds.fd_read,
    "fd_pread": fds.fd_pread,
    "fd_pwrite": fds.fd_pwrite,
    "fd_seek": fds.fd_seek,
    "fd_tell": fds.fd_tell,
    "fd_close": fds.fd_close,
    "fd_renumber": fds.fd_renumber,
    "fd_sync": fds.fd_sync,
    "fd_datasync": fds.fd_sync,
    "fd_advise": fds.fd_advise,
    "fd_fdstat_get": fds.fd_fdstat_get,
    "fd_fdstat_set_flags": fds.fd_fdstat_set_flags,
    "fd_filestat_get": fds.fd_filestat_get,
    "fd_filestat_set_size": fds.fd_filestat_set_size,
    "fd_prestat_get": fds.fd_prestat_get,
    "fd_prestat_dir_name": fds.fd_prestat_dir_name,
    "fd_readdir": fds.fd_readdir,
    "path_open": paths.path_open,
    "path_create_directory": paths.path_create_directory,
    "path_remove_directory": paths.path_remove_directory,
    "path_unlink_file": paths.path_unlink_file,
    "path_rename": paths.path_rename,
    "path_filestat_get": paths.path_filestat_get,
}

WASI_ACTS: Mapping[str, WasiAct] = MappingProxyType(
    # The parameters of each are those of its row, which is what it is linked by.
    {name: cast("WasiAct", _ACTS.get(name, process.not_supported)) for name in WASI}
)
"""By the name that guests import them under."""


def bound(wasi: Wasi, name: str) -> HostCall:
    """One function as a guest calls it: budget and permission come first."""
    act = WASI_ACTS[name]

    def act_of_host(_host: Host, *values: int) -> int:
        return act(wasi, *values)

    return bind(wasi.host, WASI[name], act_of_host)
