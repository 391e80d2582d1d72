"""The manifest inside a module: where it is found, what goes over it, and what is no
module at all."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int3rceptor.errors import PluginError
from int3rceptor.plugins.authoring.description import describe
from int3rceptor.plugins.managing.manager import PluginManager
from int3rceptor.plugins.policy.manifest import (
    MAX_MANIFEST_BYTES,
    SECTION,
    read_manifest,
)
from int3rceptor.plugins.policy.sections import MAX_SECTIONS, custom_section
from tests.plugins.support import (
    LogBook,
    leb,
    make_dispatcher,
    module_with,
    section,
)

PREAMBLE = b"\0asm\1\0\0\0"
NUMBERS = st.integers(0, 0xFFFF_FFFF)


def find(data: bytes) -> bytes | None:
    return custom_section(data, SECTION, "a.wasm")


# --- the parser -----------------------------------------------------------------------


@given(
    contents=st.binary(max_size=300),
    others=st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=200))),
    place=st.integers(0, 20),
    padded=st.integers(0, 5),
)
def test_it_is_found_among_others(
    contents: bytes, others: list[tuple[str, bytes]], place: int, padded: int
) -> None:
    sections = [section(f"x{name}", data, padded=padded) for name, data in others]
    assert find(PREAMBLE + b"".join(sections)) is None
    sections.insert(place, section(SECTION, contents, padded=padded))
    assert find(PREAMBLE + b"".join(sections)) == contents


@given(data=st.binary(max_size=400))
@example(data=b"")
@example(data=b"\0")
@example(data=b"\0\xff\xff\xff\xff\x0f")
@example(data=b"\0\xff\xff\xff\xff\xff\x01")
@example(data=b"\0\x01\x80")
@example(data=b"\0\x02\x05a")
@example(data=b"\x01\x05")
def test_any_bytes_are_a_section_nothing_or_refused(data: bytes) -> None:
    found = None
    with contextlib.suppress(PluginError):
        found = find(PREAMBLE + data)
    assert found is None or found in data


@given(cut=st.integers(0, 500))
def test_a_module_that_is_cut_off_is_refused_or_has_none(cut: int) -> None:
    whole = module_with('version = "1"')
    if cut >= len(whole):
        assert find(whole) == b'version = "1"'
        return
    with contextlib.suppress(PluginError):
        assert find(whole[:cut]) is None


@given(size=NUMBERS, length=NUMBERS)
def test_lengths_are_believed_only_as_far_as_there_are_bytes(
    size: int, length: int
) -> None:
    data = PREAMBLE + b"\0" + leb(size) + leb(length) + SECTION.encode() + b"x"
    try:
        found = find(data)
    except PluginError:
        return
    assert found == b"x"
    assert (size, length) == (13, 11)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (section(SECTION, b"a") * 2, "two sections are named 'int3rceptor'"),
        (section("x", b"") * (MAX_SECTIONS + 1), f"more than {MAX_SECTIONS} sections"),
        (b"\0\x80\x80\x80\x80\x10", "a length is larger than 32 bits"),
        (b"\0\x80\x80\x80\x80\x80\0", "a length is larger than 32 bits"),
        (b"\0", "it ends within a number"),
        (b"\0\x05ab", "a section is longer than the file"),
        (b"\0\x02\x09a", "a section's name is longer than the section"),
    ],
)
def test_what_does_not_add_up_is_named(data: bytes, why: str) -> None:
    with pytest.raises(PluginError, match=why):
        find(PREAMBLE + data)


def test_text_and_other_files_have_no_sections() -> None:
    assert find(b"(module)") is None
    assert find(b"\0asm\2\0\0\0" + section(SECTION, b"x")) is None
    # Only custom sections have names.
    assert find(PREAMBLE + section(SECTION, b"x", kind=1)) is None


# --- one schema in three places -------------------------------------------------------

INSIDE = """
name = "a"
version = "1.0"
priority = 1
permissions = ["secrets.read"]
[limits]
fuel = 10
host_calls = 20
[config]
one = 1
"""


def test_the_file_goes_over_the_section_and_the_config_over_both(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.wasm"
    data = module_with(INSIDE)
    alone = read_manifest(path, {}, data)
    assert (alone.version, alone.priority, alone.limits.fuel) == ("1.0", 1, 10)
    assert {str(one) for one in alone.asked} == {"secrets.read"}
    path.with_suffix(".toml").write_text("priority = 2\n[limits]\nfuel = 11")
    settings = {"a": {"limits": {"fuel": 12}, "config": {"two": 2}}}
    whole = read_manifest(path, settings, data)  # type: ignore[arg-type]
    assert (whole.version, whole.priority) == ("1.0", 2)
    assert (whole.limits.fuel, whole.limits.host_calls) == (12, 20)
    assert whole.config == {"one": 1, "two": 2}


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ('grant = ["respond"]', "grant: a manifest cannot grant permissions"),
        ("urgency = 1", "urgency: no such key"),
        ("= 1", "not valid TOML"),
        (f"a = {'[' * 30_000}", "nested more than"),
        (f"config.{'a.' * 1_000}a = 1", "nested more than"),
        ("[limits]\nfuel = 0", "fuel"),
        ("#" * (MAX_MANIFEST_BYTES + 1), "larger than"),
        (
            'name = "header-stamp"',
            "name: 'header-stamp' is not what the file is called",
        ),
    ],
)
def test_what_a_section_may_not_say(manifest: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=why) as caught:
        read_manifest(tmp_path / "a.wasm", {}, module_with(manifest))
    assert "a.wasm: the section 'int3rceptor': " in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    data = PREAMBLE + section(SECTION, b"\xff")
    with pytest.raises(PluginError, match="not valid TOML"):
        read_manifest(tmp_path / "a.wasm", {}, data)


def test_a_module_is_called_as_its_file_or_as_the_file_beside_it_says(
    tmp_path: Path,
) -> None:
    data = module_with('name = "My-Own"')
    assert read_manifest(tmp_path / "my_own.wasm", {}, data).name == "My-Own"
    (tmp_path / "a.toml").write_text('name = "other"')
    assert read_manifest(tmp_path / "a.wasm", {}, data).name == "other"


async def test_a_module_that_carries_its_manifest_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.wasm"
    path.write_bytes(module_with('version = "3"\nhooks = ["on_request"]'))
    manager = PluginManager(make_dispatcher(), log=LogBook())
    slot = await manager.load(path)
    assert slot.current is not None
    assert slot.current.manifest.version == "3"
    await manager.aclose()
    assert "Name: a 3" in describe(path).lines()
