"""The API over a real journal and store."""

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.control.kept import KeptFlows, count_kept
from int3rceptor.store.journal.journal import Journal
from int3rceptor.store.records import BodyRecord
from tests.support.control import control_port, records

MIB = 1024 * 1024


def journalled(flows_dir: Path) -> KeptFlows:
    """Five flows that nobody has taken into the store yet; one has a body ahead."""
    problems: list[str] = []
    journal = Journal(flows_dir, max_bytes=64 * MIB, on_problem=problems.append)
    for one in records(5):
        one = msgspec.structs.replace(one, id=journal.next_id())
        if one.id == 3:
            journal.append_piece(3, "response", b"x" * 100_000)
            body = BodyRecord(size=200_000, ahead=100_000, content=b"end")
            one = msgspec.structs.replace(one, response_body=body)
        journal.append_flows([one])
    journal.close()
    assert not problems
    return KeptFlows(flows_dir)


async def test_before_and_after_they_are_in_the_store(tmp_path: Path) -> None:
    async with control_port(journalled(tmp_path)) as control:
        listed = (await control.client.get("/api/flows")).json()
        assert [flow["id"] for flow in listed["flows"]] == [5, 4, 3, 2, 1]
        for _ in range(2):
            flow = (await control.client.get("/api/flows/3")).json()
            assert flow["response"]["body"]["size"] == 200_000
            assert flow["response"]["body"]["kept"] == 100_003
            body = await control.client.get("/api/flows/3/response/body")
            assert body.content == b"x" * 100_000 + b"end"
            assert flow["request"]["received"]["start"] == "GET /a?b=c HTTP/1.1"
            # Marking takes all of the journal into the store.
            mark = {"is_marked": True}
            answer = await control.client.put("/api/flows/3/mark", json=mark)
            assert answer.status_code == 200, answer.text
        marked = (await control.client.get("/api/flows?is_marked=true")).json()
        assert [flow["id"] for flow in marked["flows"]] == [3]


async def test_they_are_deleted_for_good(tmp_path: Path) -> None:
    async with control_port(journalled(tmp_path)) as control:
        assert (await control.client.delete("/api/flows/2")).status_code == 204
        assert (await control.client.delete("/api/flows/2")).status_code == 404
        mark = {"is_marked": True}
        await control.client.put("/api/flows/4/mark", json=mark)
        answer = await control.client.delete("/api/flows?host=*.com&confirm=true")
        assert answer.json() == {"deleted": 3}
        listed = (await control.client.get("/api/flows")).json()
        assert [flow["id"] for flow in listed["flows"]] == [4]


async def test_a_store_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"this is no database" * 100)
    async with control_port(KeptFlows(tmp_path)) as control:
        answer = await control.client.get("/api/flows")

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "store_unavailable"


async def test_before_the_first_flow(tmp_path: Path) -> None:
    async with control_port(KeptFlows(tmp_path / "not-there")) as control:
        assert (await control.client.get("/api/flows")).json()["flows"] == []
        assert (await control.client.get("/api/flows/1")).status_code == 404
        answer = await control.client.delete("/api/flows?confirm=true")
        assert answer.json() == {"deleted": 0}


@given(st.data())
def test_how_much_of_a_body_is_kept(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 1 << 30))
    kept = data.draw(st.one_of(st.just(size), st.integers(0, size)))
    looks: list[int] = []

    def is_there(at: int) -> bool:
        looks.append(at)
        return at < kept

    assert count_kept(size, is_there) == kept
    assert len(looks) <= (1 if kept == size else 32)
