"""Random and damaged modules: each is refused with one line, or runs and ends."""

import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import wat2wasm

from int3rceptor.errors import PluginError
from int3rceptor.plugins.abi.codes import ENTRIES, Entry, Extra
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.compiling import compiled
from int3rceptor.plugins.engine.inspection import inspect_module, require_loadable
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.running.instance import PluginInstance
from int3rceptor.plugins.streaming.chunks import Chunk
from int3rceptor.plugins.topics.messages import Message
from tests.plugins.support import EXAMPLES, FACTORIES, make_flow, make_instance
from tests.support.damage import damaged
from tests.support.hostile import hostile
from tests.support.hostile.rows import Refused
from tests.support.smith import smith

MAX_LINE_CHARS = 1000
MAX_SOUND_BYTES = 64 * 1024
"""Of what is damaged: Hypothesis tries thousands, and each is compiled."""

LIMITS = Limits(fuel=100_000, host_calls=500)
SEEDS = st.binary(min_size=200, max_size=4000)


@functools.cache
def sound() -> list[bytes]:
    """Modules in order: the examples, and the hostile ones that load."""
    found = [path.read_bytes() for path in sorted(EXAMPLES.rglob("*.wasm"))]
    for one in hostile():
        if not isinstance(one.must, Refused):
            module = one.module
            found.append(bytes(wat2wasm(module.decode())) if one.is_text else module)
    return [one for one in found if len(one) <= MAX_SOUND_BYTES]


DAMAGED = damaged(st.deferred(lambda: st.sampled_from(sound())))


def runs(instance: PluginInstance) -> None:
    """Every entry comes to an end that the host knows."""
    for entry in ENTRIES:
        result = run(instance, entry)
        if isinstance(result, Fault):
            assert result.kind is not FaultKind.HOST_BUG, result
            assert str(result).isprintable()


def run(instance: PluginInstance, entry: Entry) -> object:
    if entry.value not in exported(instance):
        return None
    if entry is Extra.MESSAGE:
        return instance.read_message(Message("news", b"text", ("other",)))
    is_chunk = isinstance(entry, Extra)
    return instance.run(
        entry, make_flow(), Chunk(data=b"a chunk", is_last=True) if is_chunk else None
    )


def exported(instance: PluginInstance) -> frozenset[str]:
    maker = instance._maker
    assert maker is not None
    return frozenset(maker.blueprint.exports)  # type: ignore[attr-defined]


def refused_in_one_line(error: PluginError) -> None:
    line = str(error)
    assert line.isprintable(), line
    assert len(line) < MAX_LINE_CHARS


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=DAMAGED, caller=st.sampled_from(sorted(FACTORIES)))
def test_a_damaged_module_is_refused_or_runs(data: bytes, caller: str) -> None:
    try:
        instance = make_instance(data, FACTORIES[caller], limits=LIMITS)
    except PluginError as error:
        refused_in_one_line(error)
        return
    runs(instance)


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(data=DAMAGED)
def test_so_it_is_by_the_compilers_process(data: bytes) -> None:
    try:
        require_loadable(inspect_module(compiled(data, "a.wasm")), "a.wasm")
    except PluginError as error:
        refused_in_one_line(error)


@pytest.mark.parametrize("caller", FACTORIES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(seed=SEEDS)
def test_a_random_module_runs_within_its_limits(caller: str, seed: bytes) -> None:
    module = smith(seed)
    if module is not None:
        runs(make_instance(module, FACTORIES[caller], limits=LIMITS))
