"""The table against its implementations, its documentation and the original's names."""

import re

import pytest

from int3rceptor.plugins.abi import FUNCTIONS
from int3rceptor.plugins.codes import HookCode, LogLevel, Permission, Status
from int3rceptor.plugins.instance import HOST_ACTS
from int3rceptor.plugins.manifest import GRANTS
from tests.plugins.support import ROOT

DOCUMENT = (ROOT / "docs" / "plugin-abi.md").read_text()
SIGNATURE = re.compile(r"`(host_\w+\([^`]*\) -> \w+)`")


def test_every_function_is_implemented_and_nothing_else() -> None:
    assert set(HOST_ACTS) == set(FUNCTIONS)


def test_every_signature_is_documented_and_nothing_else() -> None:
    documented = SIGNATURE.findall(DOCUMENT)
    assert sorted(documented) == sorted(row.signature for row in FUNCTIONS.values())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_document_tells_what_the_table_tells(name: str) -> None:
    row = FUNCTIONS[name]
    (line,) = [one for one in DOCUMENT.splitlines() if f"| `{name}(" in one]
    assert row.does in line
    assert row.permission.name.lower().replace("_", "-") in line
    named = set(re.findall(r"`([A-Z_]+)`", line)) & set(Status.__members__)
    assert named == ({"NOT_FOUND"} if row.legacy else {one.name for one in row.errors})
    hooks = set(re.findall(r"\bon_\w+", line.rsplit("|", 2)[1]))
    assert hooks == ({one.value for one in row.hooks} if len(row.hooks) < 5 else set())


def test_every_code_is_documented() -> None:
    for codes in (Status, HookCode, LogLevel):
        for one in codes:
            assert re.search(rf"\| {one.value} \| `{one.name}` \|", DOCUMENT), one
    for name, permission in GRANTS.items():
        assert f"| `{name}` | {permission.value} |" in DOCUMENT


def test_the_originals_functions_are_there_under_their_names() -> None:
    original = {
        "host_log": 3,
        "host_get_memory_size": 0,
        "host_abort": 2,
        "host_get_header": 4,
        "host_set_header": 4,
        "host_get_method": 2,
    }
    assert {name: len(FUNCTIONS[name].params) for name in original} == original


def test_addresses_come_with_a_length() -> None:
    for row in FUNCTIONS.values():
        for index, param in enumerate(row.params):
            if param.endswith("ptr"):
                assert row.params[index + 1].endswith(("len", "max")), row.name


def test_a_function_that_changes_something_is_never_granted_unasked() -> None:
    quiet = {Permission.BASE, Permission.READ, Permission.READ_BODY, Permission.AMBIENT}
    for row in FUNCTIONS.values():
        if row.permission in quiet:
            assert row.name.startswith(("host_get_", "host_list_")) or row.name in {
                *("host_log", "host_abort", "host_now_ms", "host_random"),
            }
