"""H1Client against H1Server, and both against noise."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import (
    Int3rceptorError,
)
from int3rceptor.model.body import Body
from int3rceptor.model.message import Response
from int3rceptor.wire.events import Data, End, ResponseHead
from int3rceptor.wire.h1.server import H1Client, H1Server
from tests.support.h1_codec import (
    CHUNKS,
    CONNECT,
    GET,
    OK,
    SWITCH,
    UPGRADE,
    WANTS_UPGRADE,
    Nothing,
    a_request,
    client_asking,
    collect,
    shown,
    splits,
)


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=4),
    st.booleans(),
    st.integers(0, 1000),
)
def test_a_client_and_a_server_understand_each_other(
    chunks: list[bytes], is_chunked: bool, seed: int
) -> None:
    client, server = H1Client(), H1Server()
    content = b"".join(chunks)
    length = None if is_chunked else len(content)
    for _ in range(2):
        request = a_request(
            "PUT", (b"X-a", b"1"), body=Body(source=Nothing(), length=length)
        )
        sent = [client.head(request)]
        for chunk in chunks:
            sent += client.data(chunk)
        raw = b"".join([*sent, client.end()])
        pieces = list(splits(raw, seed=seed, times=1))[-1]
        words = ["PUT /", *([f"data {content.decode('latin-1')}"] if content else [])]
        assert shown(collect(server, pieces)) == [*words, "end"]
        answer = Response(status=200, body=Body(source=Nothing(), length=length))
        sent = [server.head(answer)]
        for chunk in chunks:
            sent += server.data(chunk)
        raw = b"".join([*sent, server.end()])
        events = collect(client, list(splits(raw, seed=seed, times=1))[-1])
        assert isinstance(events[0], ResponseHead)
        assert [e.data for e in events if isinstance(e, Data)] == [content] * bool(
            content
        )
        assert events[-1] == End(None)
        client.next_cycle()
        server.next_cycle()


NOISE = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [GET, CHUNKS, UPGRADE, CONNECT, OK, SWITCH, b"", b"\r\n", b"0"]
        ),
    ),
    max_size=6,
)


@given(NOISE)
def test_no_bytes_raise_outside_the_tree(pieces: list[bytes]) -> None:
    for codec in (H1Server(), client_asking(), client_asking("GET", *WANTS_UPGRADE)):
        collect(codec, pieces)
        with contextlib.suppress(Int3rceptorError):
            codec.next_cycle()
            collect(codec, pieces)
