"""One direction of a WebSocket, between ends that other libraries play."""

import itertools
import zlib
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from int3rceptor.errors import WebSocketError
from int3rceptor.wire.websocket import messages as websocket
from int3rceptor.wire.websocket.deflate import (
    WINDOW_BYTES,
    Extensions,
    Side,
    agreed,
)
from int3rceptor.wire.websocket.frames import frame, masked
from int3rceptor.wire.websocket.messages import (
    BREATH_FRAMES,
    MAX_FRAMES,
    MAX_MESSAGE_BYTES,
    Direction,
    Event,
    Passing,
    Unseen,
    Whole,
)
from tests.support.websockets_peer import PLAIN, Message, Receiver, Sender, deflated

Answer = Callable[[Direction, Whole], Iterable[Passing]]


def keep(direction: Direction, whole: Whole) -> Iterable[Passing]:
    return direction.keep(whole)


def drop(direction: Direction, _: Whole) -> Iterable[Passing]:
    direction.drop()
    return ()


def upper(direction: Direction, whole: Whole) -> Iterable[Passing]:
    return direction.replace(whole.data.upper(), is_text=whole.is_text)


class Middle:
    """A direction, its messages, and what goes on."""

    def __init__(self, extensions: Extensions, *, is_client: bool = True) -> None:
        self.direction = Direction(extensions, is_client=is_client)
        self.messages: list[Message] = []
        self.unseen: list[str] = []
        self.sent = bytearray()
        self.breaths = 0

    def receive(self, data: bytes, answer: Answer = keep) -> bytes:
        """What goes on now."""
        before = len(self.sent)
        for event in self.direction.receive(data):
            self._take(event, answer)
        return bytes(self.sent[before:])

    def _take(self, event: Event, answer: Answer) -> None:
        if isinstance(event, Passing):
            self.sent += event.data
            self.breaths += not event.data
        elif isinstance(event, Unseen):
            self.unseen.append(event.why)
        else:
            message = event.data.decode() if event.is_text else event.data
            self.messages.append(message)
            for passing in answer(self.direction, event):
                self.sent += passing.data


both_sides = pytest.mark.parametrize("is_client", [True, False], ids=["up", "down"])
EXTENSIONS = [
    PLAIN,
    deflated(),
    deflated(9),
    deflated(forgets=True),
    deflated(12, forgets=True),
]
of_all_kinds = pytest.mark.parametrize(
    "extensions",
    EXTENSIONS,
    ids=["plain", "deflated", "9 bits", "forgets", "12 forgets"],
)

a_message = st.one_of(
    st.text(max_size=300),
    st.binary(max_size=300),
    # Long enough to move a small window on, and like what came before.
    st.integers(0, 5000).map(lambda size: b"abcdefgh" * (size // 8)),
)
a_frame_plan = st.tuples(
    a_message, st.lists(st.integers(0, 300), max_size=4), st.booleans(), st.booleans()
)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


# Unchanged


@given(
    plans=st.lists(a_frame_plan, max_size=6),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=12),
    extensions=st.sampled_from(EXTENSIONS),
    is_client=st.booleans(),
)
def test_any_split_gives_the_same_messages_and_bytes(
    plans: list[tuple[Message, list[int], bool, bool]],
    cuts: list[int],
    extensions: Extensions,
    is_client: bool,
) -> None:
    sender = Sender(extensions, is_client=is_client)
    sent = b""
    for message, places, is_plain, has_ping in plans:
        sent += sender.ping(b"ping") if has_ping else b""
        sent += b"".join(sender.message(message, places, is_plain=is_plain))
    middle = Middle(extensions, is_client=is_client)
    for piece in split(sent, cuts):
        middle.receive(piece)
    assert bytes(middle.sent) == sent
    assert middle.messages == [plan[0] for plan in plans]
    assert middle.direction.rest() == b""


@both_sides
@of_all_kinds
def test_byte_by_byte(extensions: Extensions, *, is_client: bool) -> None:
    sender = Sender(extensions, is_client=is_client)
    sent = b"".join([*sender.message("häßlich" * 40, [3, 100]), sender.ping(b"?")])
    middle = Middle(extensions, is_client=is_client)
    for place in range(len(sent)):
        middle.receive(sent[place : place + 1])
    assert bytes(middle.sent) == sent
    assert middle.messages == ["häßlich" * 40]


def test_a_ping_does_not_wait_for_the_message_around_it() -> None:
    sender = Sender(PLAIN, is_client=True)
    first, last = sender.message(b"abcd", [2])
    ping = sender.ping(b"n" * 125)  # as much as it may hold
    middle = Middle(PLAIN)
    assert middle.receive(first) == b""
    assert middle.receive(ping) == ping
    assert middle.receive(last) == first + last
    assert middle.messages == [b"abcd"]


# Changed


@settings(max_examples=300)
@given(
    plans=st.lists(
        st.tuples(a_frame_plan, st.sampled_from([keep, keep, drop, upper])), max_size=12
    ),
    extensions=st.sampled_from([*EXTENSIONS, deflated(8)]),
    is_client=st.booleans(),
)
def test_the_other_end_reads_what_was_made_of_each(
    plans: list[tuple[tuple[Message, list[int], bool, bool], Answer]],
    extensions: Extensions,
    is_client: bool,
) -> None:
    side = extensions.client
    # Nobody's zlib makes a window of 8 bits; one of 9 that only repeats itself is one.
    written = extensions if side.bits > 8 else deflated(9, forgets=side.forgets)
    sender = Sender(written, is_client=is_client)
    receiver = Receiver(extensions, is_client=is_client)
    middle = Middle(extensions, is_client=is_client)
    expected: list[Message] = []
    for (message, places, is_plain, has_ping), answer in plans:
        frames = sender.message(message, places, is_plain=is_plain)
        if has_ping:
            frames.insert(1, sender.ping(b"ping"))
        for one in frames:
            receiver.receive(middle.receive(one, answer))
        if answer is keep:
            expected.append(message)
        elif answer is upper:
            data = message.encode() if isinstance(message, str) else message
            shouted = data.upper()
            expected.append(shouted.decode() if isinstance(message, str) else shouted)
    assert receiver.messages == expected


@both_sides
def test_a_changed_message_is_framed_as_its_sender_would(*, is_client: bool) -> None:
    sender = Sender(PLAIN, is_client=is_client)
    middle = Middle(PLAIN, is_client=is_client)
    sent = middle.receive(b"".join(sender.message("hello", [2])), upper)
    assert sent[0] == 0x81  # one frame, a text
    assert bool(sent[1] & 0x80) is is_client
    assert sent[1] & 0x7F == 5
    payload = masked(sent[6:], sent[2:6]) if is_client else sent[2:]
    assert payload == b"HELLO"


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1 << 20])
@of_all_kinds
def test_sizes(extensions: Extensions, size: int) -> None:
    sender = Sender(extensions, is_client=True)
    receiver = Receiver(extensions, is_client=True)
    middle = Middle(extensions)
    receiver.receive(middle.receive(b"".join(sender.message(b"a" * size)), upper))
    assert receiver.messages == [b"A" * size]


def test_after_a_change_what_follows_is_compressed_anew_until_windows_are_alike() -> (
    None
):
    extensions = deflated()
    sender = Sender(extensions, is_client=True)
    receiver = Receiver(extensions, is_client=True)
    middle = Middle(extensions)

    def passes_as_it_is(message: bytes) -> bool:
        (raw,) = sender.message(message)
        got = middle.receive(raw)
        receiver.receive(got)
        return got == raw

    assert passes_as_it_is(b"first" * 100)
    receiver.receive(middle.receive(sender.message(b"second" * 100)[0], upper))
    assert not passes_as_it_is(b"first" * 100)
    assert not middle.direction.can_go_unread
    assert not passes_as_it_is(bytes(range(256)) * (WINDOW_BYTES // 256))
    assert middle.direction.can_go_unread
    assert passes_as_it_is(b"first" * 100)
    assert receiver.messages[1] == b"SECOND" * 100
    assert receiver.messages[2] == receiver.messages[4] == b"first" * 100


def test_what_was_plain_makes_no_windows_differ() -> None:
    extensions = deflated()
    sender = Sender(extensions, is_client=True)
    middle = Middle(extensions)
    middle.receive(sender.message(b"abc" * 10, is_plain=True)[0], drop)
    middle.receive(sender.message(b"abc" * 10, is_plain=True)[0], upper)
    assert middle.direction.can_go_unread
    raw = sender.message(b"abc" * 10)[0]
    assert middle.receive(raw) == raw


# Too large to be shown


@both_sides
@of_all_kinds
def test_too_large_passes_unseen_and_the_next_is_seen(
    extensions: Extensions, monkeypatch: pytest.MonkeyPatch, *, is_client: bool
) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 1000)
    sender = Sender(extensions, is_client=is_client)
    receiver = Receiver(extensions, is_client=is_client)
    middle = Middle(extensions, is_client=is_client)
    large = bytes(range(256)) * 300
    raw = b"".join([*sender.message(large, [50_000]), *sender.message("small")])
    for piece in split(raw, list(range(0, len(raw), 700))):
        receiver.receive(middle.receive(piece))
    assert bytes(middle.sent) == raw
    assert middle.unseen == ["larger than 1000 bytes"]
    assert middle.messages == ["small"]
    assert receiver.messages == [large, "small"]


@both_sides
@pytest.mark.parametrize("bits", [15, 8])
def test_too_large_after_a_change_is_compressed_anew_on_its_way(
    monkeypatch: pytest.MonkeyPatch, bits: int, *, is_client: bool
) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 1000)
    extensions = deflated(bits)
    sender = Sender(deflated(max(bits, 9)), is_client=is_client)
    receiver = Receiver(extensions, is_client=is_client)
    middle = Middle(extensions, is_client=is_client)
    large = b"".join(str(one).encode() for one in range(40_000))
    receiver.receive(middle.receive(sender.message("seen")[0], upper))
    first, last = sender.message(large, [90_000])
    receiver.receive(middle.receive(first))
    assert not middle.direction.can_go_unread
    receiver.receive(middle.receive(last))
    receiver.receive(middle.receive(sender.message("after")[0]))
    assert receiver.messages == ["SEEN", large, "after"]
    assert middle.messages == ["seen", "after"]


def test_many_frames_are_too_large_and_others_get_their_turns() -> None:
    middle = Middle(PLAIN, is_client=False)
    empty = b"\x00\x00"
    middle.receive(b"\x02\x00" + empty * (MAX_FRAMES - 1))
    assert not middle.unseen
    assert middle.breaths >= (MAX_FRAMES - 1) // BREATH_FRAMES
    middle.receive(empty + b"\x80\x00")
    assert middle.unseen == [f"more than {MAX_FRAMES} frames"]
    assert len(middle.sent) == 2 * (MAX_FRAMES + 2)


def test_empty_compressed_frames_are_counted_too() -> None:
    middle = Middle(deflated(), is_client=False)
    middle.receive(b"\x42\x00" + b"\x00\x00" * MAX_FRAMES)
    assert middle.unseen


def test_what_waits_is_bounded() -> None:
    middle = Middle(PLAIN, is_client=False)
    middle.receive(b"\x82\x7f" + (1 << 40).to_bytes(8, "big"))
    for _ in range(MAX_MESSAGE_BYTES // 65_536 + 1):
        middle.receive(bytes(65_536))
    assert len(middle.unseen) == 1
    assert len(middle.receive(bytes(65_536))) == 65_536


def test_a_bomb_is_no_websocket() -> None:
    engine = zlib.compressobj(wbits=-15)
    bomb = engine.compress(bytes(64 * MAX_MESSAGE_BYTES)) + engine.flush(
        zlib.Z_SYNC_FLUSH
    )
    raw = frame(Opcode.BINARY, bomb[:-4], is_compressed=True, is_masked=True)
    middle = Middle(deflated())
    with pytest.raises(WebSocketError, match="a bomb"):
        middle.receive(raw)
    assert middle.unseen
    assert bytes(middle.sent) + middle.direction.rest() == raw


# What is no WebSocket

MASK = b"\x01\x02\x03\x04"
HOSTILE = {
    "an unknown kind": b"\x83\x80" + MASK,
    "reserved bits": b"\xa1\x80" + MASK,
    "compressed without an agreement": b"\xc1\x80" + MASK,
    "not masked": b"\x81\x00",
    "a length in the long way": b"\x81\xfe\x00\x7d",
    "a length in the longest way": b"\x81\xff" + (65_535).to_bytes(8, "big"),
    "2^63 bytes": b"\x81\xff\x80" + bytes(7),
    "a control frame in pieces": b"\x09\x80" + MASK,
    "a large control frame": b"\x89\xfe\x00\x7e" + MASK,
    "a compressed control frame": b"\xc9\x80" + MASK,
    "a continuation of nothing": b"\x80\x80" + MASK,
    "a message in a message": b"\x01\x80" + MASK + b"\x81\x80" + MASK,
    "text that is none": b"\x81\x81" + bytes(4) + b"\xff",
    "text after a close": b"\x88\x80" + MASK + b"\x81\x80" + MASK,
    "a close of one byte": b"\x88\x81" + bytes(4) + b"\x03",
    "a close with a code that is never sent": b"\x88\x82" + bytes(4) + b"\x03\xed",
    "a close with a reason that is no text": b"\x88\x83" + bytes(4) + b"\x03\xe8\xff",
    "HTTP": b"GET / HTTP/1.1\r\n",
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_websocket(hostile: bytes) -> None:
    middle = Middle(PLAIN)
    good = Sender(PLAIN, is_client=True).message("good")[0]
    assert middle.receive(good) == good
    with pytest.raises(WebSocketError):
        middle.receive(hostile)
    assert bytes(middle.sent) + middle.direction.rest() == good + hostile


def test_origins_do_not_mask() -> None:
    with pytest.raises(WebSocketError, match="a frame that is masked"):
        Middle(PLAIN, is_client=False).receive(b"\x81\x80" + MASK)


@pytest.mark.parametrize(
    "payload", [b"\xff\xff\xff\xff", zlib.compress(b"x")], ids=["noise", "zlib"]
)
def test_damaged_compression(payload: bytes) -> None:
    raw = frame(Opcode.TEXT, payload, is_compressed=True, is_masked=True)
    middle = Middle(deflated())
    with pytest.raises(WebSocketError, match="damaged compression"):
        middle.receive(raw)
    assert middle.direction.rest() == raw


def test_a_deflate_stream_that_ends() -> None:
    payload = zlib.compressobj(wbits=-15).flush()
    raw = frame(Opcode.TEXT, payload, is_compressed=True, is_masked=True)
    with pytest.raises(WebSocketError, match="ends before its connection"):
        Middle(deflated()).receive(raw)


@pytest.mark.parametrize("code", [1000, 1014, 3000, 4999])
def test_closes_that_pass(code: int) -> None:
    sender = Sender(PLAIN, is_client=True)
    payload = code.to_bytes(2, "big") + "tschüß".encode()
    close = sender.frame(Frame(Opcode.CLOSE, payload))
    middle = Middle(PLAIN)
    assert middle.receive(close) == close
    assert middle.receive(sender.ping())


@given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
def test_no_bytes_break_it(pieces: list[bytes], is_client: bool) -> None:
    middle = Middle(deflated(), is_client=is_client)
    try:
        for piece in pieces:
            middle.receive(piece)
    except WebSocketError:
        return
    assert bytes(middle.sent) + middle.direction.rest() == b"".join(pieces)


# What was agreed on


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], PLAIN),
        ([" , "], PLAIN),
        (["permessage-deflate"], deflated()),
        (
            ["Permessage-Deflate; server_no_context_takeover"],
            Extensions(is_deflated=True, server=Side(forgets=True)),
        ),
        (
            ['permessage-deflate;client_max_window_bits="9"; server_max_window_bits=8'],
            Extensions(is_deflated=True, client=Side(9), server=Side(8)),
        ),
    ],
)
def test_agreements(values: list[str], expected: Extensions) -> None:
    assert agreed(values) == expected


@pytest.mark.parametrize(
    "value",
    [
        "permessage-bzip2",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; proxy_no_context_takeover",
        "permessage-deflate; x",
    ],
)
def test_agreements_that_are_not_known(value: str) -> None:
    with pytest.raises(WebSocketError):
        agreed([value])
