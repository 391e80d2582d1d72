"""Modules made for the compiler: each ends, in a process of its own, with one line."""

import psutil
import pytest

from int3rceptor.errors import PluginError
from int3rceptor.plugins.engine.compiling import compiled
from int3rceptor.plugins.engine.inspection import inspect_module, require_loadable
from int3rceptor.plugins.policy.manifest import DEFAULT_MODULE_BYTES
from tests.support.bombs import bombs

MAX_LINE_CHARS = 1000
PATIENCE_S = 3.0
"""In place of the minute that a user's compiler has."""

BOMBS = bombs()


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_for_the_compiler_ends(name: str) -> None:
    bomb = BOMBS[name]()
    assert len(bomb) <= DEFAULT_MODULE_BYTES
    before = psutil.Process().children()
    line = refusal(bomb)
    assert line.isprintable()  # "" is
    assert len(line) < MAX_LINE_CHARS
    assert psutil.Process().children() == before


def refusal(data: bytes) -> str:
    """Why it is not loaded; "" if it is."""
    try:
        module = compiled(data, "bomb.wasm", limit_s=PATIENCE_S)
        require_loadable(inspect_module(module), "bomb.wasm")
    except PluginError as error:
        return str(error)
    return ""
