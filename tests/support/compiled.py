"""Modules that proxies of the tests have compiled, lent to those that start later:
compiling is half of a start. Knows how a proxy names and seals them by its own cache.
"""

import contextlib
import os
import secrets
from pathlib import Path

from int3rceptor.plugins.engine.cache import KEY_BYTES, KEY_FILE

CACHE = Path("cache", "plugins")


class CompiledModules:
    """One folder of them, under one key. Test processes that run at once share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        ours = folder / f"{KEY_FILE}.{secrets.token_hex(8)}"
        ours.touch(0o600)
        ours.write_bytes(secrets.token_bytes(KEY_BYTES))
        _link(ours, folder / KEY_FILE)
        ours.unlink()

    def lend(self, data_dir: Path) -> None:
        """Give a data directory all there is, unless it has some already."""
        cache = data_dir / CACHE
        if cache.exists():
            return
        for one in (data_dir, cache.parent, cache):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            if not path.suffix:
                _link(path, cache / path.name)

    def take(self, data_dir: Path) -> None:
        """Keep what was compiled there beside what was lent."""
        for path in (data_dir / CACHE).iterdir():
            if not path.suffix:
                _link(path, self._folder / path.name)


def _link(path: Path, to: Path) -> None:
    # Somebody else may have been first. What is there is replaced, never written to.
    with contextlib.suppress(FileExistsError):
        os.link(path, to)
