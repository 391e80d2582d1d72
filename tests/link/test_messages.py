import msgspec
import pytest

from int3rceptor.link.messages import (
    Began,
    CaForms,
    CaPair,
    Ended,
    Failed,
    FlowSummary,
    FromWorker,
    Gap,
    Hello,
    Logged,
    Problem,
    Ready,
    Reload,
    Serving,
    Start,
    Stats,
    Stop,
    ToHub,
    ToProxy,
    ToWorker,
    Watch,
    WorkerStats,
    crew_decoder,
    hub_decoder,
    proxy_decoder,
    worker_decoder,
)

SUMMARY = FlowSummary(
    1, 2.0, "http", "GET", "https", "h", 443, b"/", "HTTP/2", 200, tags=["a"], rule="r"
)
PAIR = CaPair("ca.pem", b"pem", b"key")
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


@pytest.mark.parametrize(
    "message",
    [
        Serving(CA, PAIR, ["a note"]),
        Failed("why"),
        Logged("int3rceptor", 30, 1.5, "text", "trace"),
        Ended(SUMMARY),
        Gap(2),
        Stats({"a": 1.5}, "", [WorkerStats(1, True, 2, {"cpu_s": 1.0})]),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_starts_workers_reads_what_they_say(message: FromWorker) -> None:
    assert crew_decoder.decode(msgspec.msgpack.encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        Start(3, "1.0", b"{}", 1, 2, [("127.0.0.1", 8081)], PAIR),
        Watch(True),
        Reload(),
        Stop(is_urgent=True),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_worker_reads_what_it_is_told(message: ToWorker) -> None:
    assert worker_decoder.decode(msgspec.msgpack.encode(message)) == message


def test_a_later_releases_fields_are_no_obstacle() -> None:
    # A proxy that was replaced while it ran must be able to say so to its new hub.
    later = [*msgspec.to_builtins(HELLO, builtin_types=(bytes,)), "new", 7]

    assert hub_decoder.decode(msgspec.msgpack.encode(later)) == HELLO
