"""Names that plugins give are judged once, and as if they were judged each time."""

from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.model.headers import is_token
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.host.names import (
    MAX_KNOWN,
    MAX_KNOWN_BYTES,
    PROTECTED_FIELDS,
    Names,
)

MASKED = frozenset({b"cookie", b"x-key"})
NAMES = st.one_of(
    st.sampled_from([b"Cookie", b"X-KEY", b"Host", b"Accept", b"", b"a b", b"Expect"]),
    st.sampled_from(sorted(PROTECTED_FIELDS)).map(bytes.title),
    st.binary(max_size=MAX_KNOWN_BYTES + 2),
)


@given(st.lists(NAMES, max_size=20))
def test_what_is_known_of_a_name_does_not_depend_on_what_was_asked(
    names: list[bytes],
) -> None:
    known = Names(MASKED)
    for name in names + names:
        key = name.lower()
        assert known[name].key == key
        assert known[name].is_masked is (key in MASKED)
        problem = Status.PROTECTED if key in PROTECTED_FIELDS else Status.OK
        wanted = problem if is_token(name) else Status.BAD_ARGUMENT
        assert known[name].problem is wanted


def test_a_guest_that_makes_names_up_fills_nothing() -> None:
    known = Names(MASKED)
    for number in range(5 * MAX_KNOWN):
        assert known[b"x-%d" % number].problem is Status.OK
        assert len(known) <= MAX_KNOWN
    for size in (MAX_KNOWN_BYTES, MAX_KNOWN_BYTES + 1):
        assert known[b"x" * size].key == b"x" * size
    assert max(map(len, known)) == MAX_KNOWN_BYTES
