"""What WASI keeps for one instance: its outputs, its clock, its descriptors."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from int3rceptor.plugins.abi.codes import LogLevel
from int3rceptor.plugins.host.host import Host
from int3rceptor.plugins.policy.permissions import Grants, Permission
from int3rceptor.plugins.wasi.descriptors import Descriptors, File, Folder, Input
from int3rceptor.plugins.wasi.files import Quota, freed, open_granted
from int3rceptor.plugins.wasi.output import Output

NS_PER_MS = 1_000_000


@dataclass(slots=True, frozen=True)
class GrantedFolder:
    """A folder that the user granted."""

    path: str
    may_write: bool


def granted_folders(grants: Grants) -> list[GrantedFolder]:
    """The folders among the grants, in the order of their paths, each once."""
    modes: dict[str, bool] = {}
    for scope in grants.scopes(Permission.FILES):
        path, _, mode = scope.rpartition(":")
        modes[path] = modes.get(path, False) or mode == "rw"
    return [GrantedFolder(path, modes[path]) for path in sorted(modes)]


class Wasi:
    """The state that WASI's functions act on.

    `begin` makes it that of a new guest, with the granted folders open. The quota is
    over all guests: a plugin does not get a new one by failing.
    """

    def __init__(
        self, host: Host, folders: Sequence[GrantedFolder], file_bytes: int
    ) -> None:
        self.host = host
        self.quota = Quota(file_bytes)
        self.descriptors = Descriptors()
        around = host.surroundings
        self.args = [one.encode() + b"\0" for one in around.args]
        self.environ = [f"{name}={one}\0".encode() for name, one in around.env.items()]
        self._folders = folders
        self._earliest_ms = 0

    def begin(self) -> str:
        """Forget what the last guest opened; why it cannot begin, or ""."""
        self.descriptors.close_all()
        self.descriptors.add(Input())
        self.descriptors.add(Output(self.host, LogLevel.INFO))
        self.descriptors.add(Output(self.host, LogLevel.WARN))
        for index, one in enumerate(self._folders):
            try:
                number = open_granted(one.path)
            except OSError as error:
                return f"files:{one.path}: cannot be opened: {error.strerror}"
            self.descriptors.add(Folder(number, index, one.may_write, one.path))
        return ""

    def count_removed(self, found: os.stat_result) -> None:
        """Give back what was removed, unless the guest has it open still."""
        opened = (one for one in self.descriptors if isinstance(one, File))
        if not any(os.path.samestat(found, os.fstat(one.number)) for one in opened):
            self.quota.add(-freed(found))

    def monotonic_ns(self) -> int:
        """The guest's monotonic clock: the real one, or where its sleeps took it."""
        now = max(self.host.surroundings.monotonic_ms(), self._earliest_ms)
        return now * NS_PER_MS

    def sleep_until(self, ns: int) -> None:
        """Move the monotonic clock to a time that has not come; nobody waits."""
        self._earliest_ms = max(self._earliest_ms, -(-ns // NS_PER_MS))
