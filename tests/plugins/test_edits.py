"""What is noted of edits tells the same as looks at the whole messages would."""

from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.hooks.changes import Edited, differences, look, record
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.host.host import Host
from tests.plugins.support import make_flow
from tests.plugins.test_host import do, make_host

POINTS = (HookPoint.REQUEST, HookPoint.RESPONSE, HookPoint.CAPTURE)
NAMES = (b"a", b"A", b"b", b"long-name")
VALUES = (b"", b"1", b"2", b" 2 ")
VERBS = ("set", "add", "remove")
FIELDS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)))
ACTS = st.lists(
    st.tuples(
        st.sampled_from(VERBS),
        st.sampled_from(("header", "trailer", "request_header", "request_trailer")),
        st.sampled_from(NAMES),
        st.sampled_from(VALUES),
    ),
    max_size=5,
)


def _flow(fields: list[tuple[bytes, bytes]]) -> Flow:
    flow = make_flow()
    response = flow.response
    assert response is not None
    for message in (flow.request, response):
        message.headers = Headers(fields)
        message.body = Body(b"body", trailers=Headers(fields[:2]))
    return flow


def _looks(point: HookPoint, flow: Flow) -> list[tuple[object, ...]]:
    response = flow.response
    assert response is not None
    if point is HookPoint.CAPTURE:
        return [look(flow.request), look(response)]
    return [look(flow.request if point is HookPoint.REQUEST else response)]


def _act(
    point: HookPoint, flow: Flow, acts: list[tuple[str, str, bytes, bytes]]
) -> Host:
    host, guest = make_host(bytes(64), size=10_000)
    host.begin(point, flow)
    for verb, what, name, value in acts:
        guest.memory[:] = (name + value).ljust(64)
        ends = () if verb == "remove" else (len(name), len(value))
        status = do(host, f"host_{verb}_{what}", 0, len(name), *ends)
        is_other_hook = point is HookPoint.RESPONSE and what.startswith("request")
        assert status >= 0 or (is_other_hook and status == Status.WRONG_HOOK)
    return host


@given(fields=FIELDS, acts=ACTS, point=st.sampled_from(POINTS))
def test_the_record_is_that_of_whole_looks(
    fields: list[tuple[bytes, bytes]],
    acts: list[tuple[str, str, bytes, bytes]],
    point: HookPoint,
) -> None:
    flow = _flow(fields)
    before = _looks(point, flow)
    host = _act(point, flow, acts)
    assert host.finish(0) is None
    if host.before:
        record(point, "x", flow, host.before)
    shows_values = point is not HookPoint.CAPTURE
    pairs = zip(before, _looks(point, flow), strict=True)
    wanted = [
        what
        for old, new in pairs
        for what in differences(old, new, shows_values=shows_values)
    ]
    assert [one.what for one in flow.changes] == wanted
    assert flow.is_redacted == (bool(wanted) and not shows_values)


@given(fields=FIELDS, acts=ACTS, point=st.sampled_from(POINTS))
def test_a_fault_leaves_no_edit(
    fields: list[tuple[bytes, bytes]],
    acts: list[tuple[str, str, bytes, bytes]],
    point: HookPoint,
) -> None:
    flow = _flow(fields)
    before = _looks(point, flow)
    host = _act(point, flow, acts)
    host.finish(Fault(kind=FaultKind.TRAP))
    assert _looks(point, flow) == before
    assert not host.before


def test_one_list_of_fields_needs_no_look() -> None:
    flow = _flow([(b"a", b"1"), (b"b", b"2")])
    edits = [("set", "header", b"b", b"3"), ("add", "header", b"c", b"4")]
    host = _act(HookPoint.REQUEST, flow, edits)
    assert host.finish(0) is None
    assert isinstance(host.before, Edited)


def test_edits_beside_another_change_are_told_with_it() -> None:
    flow = _flow([(b"a", b"1")])
    host = _act(HookPoint.REQUEST, flow, [("set", "header", b"a", b"2")])
    assert do(host, "host_set_method", 0, 1) == Status.OK  # "a" is still there
    assert host.finish(0) is None
    record(HookPoint.REQUEST, "x", flow, host.before)
    line, *fields = [one.what for one in flow.changes]
    assert line.startswith("POST https://")
    assert fields == ["- a: 1", "+ a: 2"]
