"""Compiled plugins over several starts of the proxy, their cache left alone or not."""

from pathlib import Path

import pytest

from tests.support.process import ProxyProcess, run_once

ROOT = Path(__file__).parents[2]
LOGGER = ROOT / "guest-plugins" / "example-logger" / "example_logger.wasm"
READY = r"^plugin example-logger: \S+ example-logger ready$"


def start(folder: Path) -> list[str]:
    """What the proxy said of its plugin and its cache, from start to end."""
    with ProxyProcess(folder, "--plugin", LOGGER, compiles=True) as proxy:
        proxy.wait_for_line(READY)
        return [line for line in proxy.stderr if "example-logger" not in line]


def kept(folder: Path) -> dict[Path, int]:
    """The files of the cache by inode: one that is written over the old is another."""
    found = (folder / "data" / "cache" / "plugins").iterdir()
    return {path: path.stat().st_ino for path in found}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a proxy ran once."""
    assert start(tmp_path) == []
    return tmp_path


def test_a_plugin_is_compiled_once(folder: Path) -> None:
    first = kept(folder)
    assert start(folder) == []
    assert kept(folder) == first
    assert len(first) == 3  # the plugin, the probe of the engine, the key


def test_a_compiled_plugin_that_was_changed_is_made_anew(folder: Path) -> None:
    first = kept(folder)
    largest = max(first, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    (line,) = start(folder)
    assert f"{largest} is not used, and the plugin is compiled anew: " in line
    assert set(kept(folder)) == set(first)
    assert start(folder) == []


def test_a_cache_that_others_can_write_is_left_alone(folder: Path) -> None:
    first = kept(folder)
    cache = folder / "data" / "cache" / "plugins"
    cache.chmod(0o770)
    (line,) = start(folder)
    assert f"cannot be read in {cache}, so each start compiles them: " in line
    assert kept(folder) == first


def test_a_module_that_is_none_is_one_line(tmp_path: Path) -> None:
    module = tmp_path / "broken.wasm"
    module.write_bytes(b"\0asm\1\0\0\0 nonsense")
    done = run_once(tmp_path, ["--plugin", module, "--data-dir", tmp_path])
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"error: {module}: not a usable WebAssembly module: " in line
