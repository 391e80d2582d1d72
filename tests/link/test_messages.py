import msgspec
import pytest

from int3rceptor.link.messages import (
    Began,
    CaForms,
    Ended,
    FlowSummary,
    Gap,
    Hello,
    Problem,
    Ready,
    Stats,
    ToHub,
    ToProxy,
    Watch,
    hub_decoder,
    proxy_decoder,
)

SUMMARY = FlowSummary(
    1, 2.0, "http", "GET", "https", "h", 443, b"/", "HTTP/2", 200, tags=["a"], rule="r"
)
CA = CaForms(pem=b"p", der=b"d", mobileconfig=b"m", fingerprint="f")
HELLO = Hello(
    link_version=1, version="1.0", listen=("127.0.0.1", 1), ca=CA, settings=b"{}"
)


@pytest.mark.parametrize(
    "message",
    [HELLO, Began(SUMMARY), Ended(SUMMARY), Gap(2), Stats({"a": 1.5}), Problem("p")],
    ids=lambda message: type(message).__name__,
)
def test_a_hub_reads_what_a_proxy_says(message: ToHub) -> None:
    assert hub_decoder.decode(msgspec.msgpack.encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [Ready(), Watch(False), Problem("p")],
    ids=lambda message: type(message).__name__,
)
def test_a_proxy_reads_what_a_hub_says(message: ToProxy) -> None:
    assert proxy_decoder.decode(msgspec.msgpack.encode(message)) == message


def test_a_later_releases_fields_are_no_obstacle() -> None:
    # A proxy that was replaced while it ran must be able to say so to its new hub.
    later = [*msgspec.to_builtins(HELLO, builtin_types=(bytes,)), "new", 7]

    assert hub_decoder.decode(msgspec.msgpack.encode(later)) == HELLO
