"""The table against its implementations, its documentation and the original's names."""

import re

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import HookCode, LogLevel, Status
from int3rceptor.plugins.abi.table import FUNCTIONS
from int3rceptor.plugins.abi.text import filled
from int3rceptor.plugins.policy.permissions import (
    GRANTED_UNASKED,
    MEANINGS,
    SCOPED,
    Permission,
)
from int3rceptor.plugins.running.instance import HOST_ACTS
from tests.plugins.support import ORIGINAL_SIX, ROOT

DOCUMENT = (ROOT / "docs" / "plugin-abi.md").read_text()
SIGNATURE = re.compile(r"`(host_\w+\([^`]*\) -> \w+)`")


def test_every_function_is_implemented_and_nothing_else() -> None:
    assert set(HOST_ACTS) == set(FUNCTIONS)


def test_every_signature_is_documented_and_nothing_else() -> None:
    documented = SIGNATURE.findall(DOCUMENT)
    assert sorted(documented) == sorted(row.signature for row in FUNCTIONS.values())


def test_the_document_tells_what_the_table_tells() -> None:
    assert filled(DOCUMENT) == DOCUMENT


def test_every_code_is_documented() -> None:
    for codes in (Status, HookCode, LogLevel):
        for one in codes:
            assert re.search(rf"\| {one.value} \| `{one.name}` \|", DOCUMENT), one


def test_every_permission_is_told_in_plain_words() -> None:
    assert set(MEANINGS) == set(Permission)
    assert set(SCOPED) <= set(Permission)


def test_the_originals_functions_are_there_under_their_names() -> None:
    found = {name: len(FUNCTIONS[name].params) for name in ORIGINAL_SIX}
    assert found == ORIGINAL_SIX


def test_addresses_come_with_a_length() -> None:
    for row in FUNCTIONS.values():
        for index, param in enumerate(row.params):
            if param.endswith("ptr"):
                assert row.params[index + 1].endswith(("len", "max")), row.name


def test_a_function_that_changes_something_is_never_granted_unasked() -> None:
    harmless = {"host_log", "host_abort", "host_now_ms", "host_random"}
    for row in FUNCTIONS.values():
        needed = row.permissions(HookPoint)
        if not row.name.startswith(("host_get_", "host_list_")):
            assert row.name in harmless or needed.isdisjoint(GRANTED_UNASKED), row.name


def test_what_a_function_asks_for_depends_on_the_hooks_that_are_exported() -> None:
    row = FUNCTIONS["host_set_header"]
    assert row.permissions([HookPoint.RESPONSE]) == {Permission.RESPONSE_MODIFY}
    assert row.permissions([HookPoint.REQUEST]) == {Permission.REQUEST_MODIFY}
    assert row.permissions([HookPoint.CAPTURE]) == {Permission.RECORD}
    assert row.permissions([HookPoint.CONNECT]) == frozenset()
    drop = FUNCTIONS["host_drop"]
    assert drop.permissions([HookPoint.CAPTURE, HookPoint.CONNECT]) == {
        Permission.RECORD,
        Permission.CONNECT,
    }
