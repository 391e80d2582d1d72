import struct
from io import BytesIO
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.store.journal.framing import (
    BODY,
    END,
    FLOW,
    HEADER_BYTES,
    MAGIC,
    MAX_RECORD_BYTES,
    Records,
    Tail,
    read_records,
    sealed,
)

Pair = tuple[int, bytes]


def segment(*pairs: Pair) -> bytes:
    return MAGIC + b"".join(sealed(kind, payload) for kind, payload in pairs)


def read(data: bytes, offset: int = 0) -> tuple[list[Pair], Records]:
    records = read_records(BytesIO(data), offset)
    found = [(kind, payload) for _, kind, payload in records]
    return found, records


pairs = st.lists(
    st.tuples(st.sampled_from((FLOW, BODY, 77)), st.binary(max_size=40)), max_size=6
)
SAMPLE = [(FLOW, b"first"), (BODY, b""), (FLOW, b"the third and last")]


@given(pairs)
def test_what_is_written_is_read(written: list[Pair]) -> None:
    data = segment(*written)
    found, records = read(data)

    assert found == written
    assert records.tail is Tail.OPEN
    assert records.end == len(data)


@given(pairs)
def test_each_offset_is_a_place_to_go_on_from(written: list[Pair]) -> None:
    data = segment(*written)
    ends = [len(MAGIC), *(end for end, _, _ in read_records(BytesIO(data)))]

    for number, end in enumerate(ends):
        assert read(data, end)[0] == written[number:]


def test_layout_is_as_documented() -> None:
    payload = b"payload"
    checksum = crc32(b"\x01" + payload)

    assert segment((FLOW, payload)) == (
        b"I3JRNL\x00\x01" + struct.pack("<IIB", 7, checksum, 1) + payload
    )


@given(pairs, st.data())
def test_cut_anywhere_only_whole_records_are_read(
    written: list[Pair], data: st.DataObject
) -> None:
    whole = segment(*written)
    cut = data.draw(st.integers(0, len(whole) - 1))
    judge_cut(whole, written, cut)


@pytest.mark.parametrize("cut", range(len(segment(*SAMPLE))))
def test_cut_at_every_byte(cut: int) -> None:
    judge_cut(segment(*SAMPLE), SAMPLE, cut)


def judge_cut(whole: bytes, written: list[Pair], cut: int) -> None:
    ends = [len(MAGIC), *(end for end, _, _ in read_records(BytesIO(whole)))]
    found, records = read(whole[:cut])
    are_whole = sum(end <= cut for end in ends)

    assert found == written[: max(are_whole - 1, 0)]
    assert records.end == (ends[are_whole - 1] if are_whole else 0)
    assert records.tail is (Tail.OPEN if cut in ends else Tail.TORN)
    # Once the rest is there, reading goes on.
    assert found + read(whole, records.end)[0] == written


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("place", range(len(segment(*SAMPLE))))
def test_a_flipped_bit_is_never_read_as_a_record(place: int, bit: int) -> None:
    data = bytearray(segment(*SAMPLE))
    data[place] ^= 1 << bit
    found, records = read(bytes(data))

    assert found == SAMPLE[: len(found)]
    assert len(found) < len(SAMPLE)
    assert records.end <= place
    assert records.tail in (Tail.TORN, Tail.DAMAGED, Tail.FOREIGN)


@given(st.binary(max_size=200))
def test_noise_behind_records_changes_nothing_before_it(noise: bytes) -> None:
    found, records = read(segment(*SAMPLE) + noise)

    assert found[: len(SAMPLE)] == SAMPLE
    assert records.end >= len(segment(*SAMPLE))


@given(st.binary(max_size=200))
def test_noise_is_no_segment(noise: bytes) -> None:
    found, records = read(noise)

    assert not found
    if noise and not MAGIC.startswith(noise[: len(MAGIC)]):
        assert records.tail is Tail.FOREIGN
        assert records.end == 0


def test_another_version_is_left_alone() -> None:
    newer = MAGIC[:-1] + b"\x02" + sealed(FLOW, b"unknown")
    found, records = read(newer)

    assert not found
    assert records.tail is Tail.FOREIGN


def test_the_end_is_the_end() -> None:
    data = segment((FLOW, b"one"), (END, b""))
    found, records = read(data + sealed(FLOW, b"behind it"))

    assert found == [(FLOW, b"one"), (END, b"")]
    assert records.tail is Tail.ENDED
    assert records.end == len(data)


def test_the_end_is_seen_from_an_offset_before_it() -> None:
    data = segment((FLOW, b"one"), (END, b""))
    found, records = read(data, len(data) - HEADER_BYTES)

    assert found == [(END, b"")]
    assert records.tail is Tail.ENDED


def test_zeros_where_records_should_be_are_damage() -> None:
    # What some file systems leave behind a power cut.
    found, records = read(segment(*SAMPLE) + bytes(4096))

    assert found == SAMPLE
    assert records.tail is Tail.DAMAGED


def test_nothing_is_allocated_for_an_absurd_length() -> None:
    header = struct.pack("<IIB", MAX_RECORD_BYTES + 1, 0, FLOW)

    class Watched(BytesIO):
        largest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.largest = max(self.largest, size or 0)
            return super().read(size)

    file = Watched(MAGIC + header + bytes(100))
    records = read_records(file)

    assert list(records) == []
    assert records.tail is Tail.DAMAGED
    assert file.largest <= HEADER_BYTES
