"""Failures of the system, and misuse of descriptors, as errnos of WASI."""

import errno
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from int3rceptor.plugins.abi.wasi_codes import Errno
from int3rceptor.plugins.wasi.state import Wasi

_BY_NUMBER = {
    errno.EACCES: Errno.ACCES,
    errno.EBADF: Errno.BADF,
    errno.EBUSY: Errno.BUSY,
    errno.EDQUOT: Errno.DQUOT,
    errno.EEXIST: Errno.EXIST,
    errno.EFAULT: Errno.FAULT,
    errno.EFBIG: Errno.FBIG,
    errno.EINVAL: Errno.INVAL,
    errno.EISDIR: Errno.ISDIR,
    errno.ELOOP: Errno.LOOP,
    errno.EMFILE: Errno.MFILE,
    errno.ENAMETOOLONG: Errno.NAMETOOLONG,
    errno.ENFILE: Errno.MFILE,
    errno.ENOENT: Errno.NOENT,
    errno.ENOSPC: Errno.NOSPC,
    errno.ENOTDIR: Errno.NOTDIR,
    errno.ENOTEMPTY: Errno.NOTEMPTY,
    errno.EOPNOTSUPP: Errno.NOTSUP,
    errno.EOVERFLOW: Errno.OVERFLOW,
    # Above a granted folder, or an absolute path.
    errno.EPERM: Errno.NOTCAPABLE,
    errno.EROFS: Errno.ROFS,
    errno.EXDEV: Errno.XDEV,
}

Params = ParamSpec("Params")


def answering(
    act: Callable[Concatenate[Wasi, Params], int],
) -> Callable[Concatenate[Wasi, Params], int]:
    """A function whose OSError is an answer: WASI's number for it, IO for the rest."""

    def call(wasi: Wasi, /, *args: Params.args, **kwargs: Params.kwargs) -> int:
        try:
            return act(wasi, *args, **kwargs)
        except OSError as error:
            return _BY_NUMBER.get(error.errno or 0, Errno.IO)

    return call
