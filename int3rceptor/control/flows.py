"""The routes of the kept flows: list, one, delete, mark."""

from functools import partial
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Response

from int3rceptor.control import showing
from int3rceptor.control.asking import DeleteQuery, FlowId, PageQuery, once_each
from int3rceptor.control.described import documented
from int3rceptor.control.failures import ApiError
from int3rceptor.control.kept import Threads
from int3rceptor.control.schemas import Deleted, FlowDetail, FlowPage, Mark
from int3rceptor.control.state import Flows

ONCE_EACH = [Depends(once_each)]


class FlowRoutes:
    """/api/flows, but for the bodies."""

    def __init__(self, flows: Flows, threads: Threads) -> None:
        self._flows = flows
        self._threads = threads

    def add_to(self, app: FastAPI) -> None:
        """Register them."""
        self._add_all_to(app)
        self._add_one_to(app)

    def _add_all_to(self, app: FastAPI) -> None:
        app.add_api_route(
            "/api/flows",
            self.list_flows,
            tags=["flows"],
            summary="List flows, newest first",
            dependencies=ONCE_EACH,
            responses=documented(422, 503),
        )
        app.add_api_route(
            "/api/flows",
            self.delete_flows,
            methods=["DELETE"],
            tags=["flows"],
            summary="Delete the flows that fit a filter",
            dependencies=ONCE_EACH,
            responses=documented(422, 503),
        )

    def _add_one_to(self, app: FastAPI) -> None:
        one = "/api/flows/{flow_id}"
        app.add_api_route(
            one,
            self.get_flow,
            tags=["flows"],
            summary="One flow, with heads, changes, times and TLS",
            responses=documented(404, 422, 503),
        )
        app.add_api_route(
            one,
            self.delete_flow,
            methods=["DELETE"],
            status_code=204,
            response_class=Response,
            tags=["flows"],
            summary="Delete one flow",
            responses=documented(404, 422, 503),
        )
        app.add_api_route(
            f"{one}/mark",
            self.put_mark,
            methods=["PUT"],
            tags=["flows"],
            summary="Mark a flow, so that it is not pruned, or take its mark away",
            responses=documented(404, 422, 503),
        )

    async def list_flows(self, query: Annotated[PageQuery, Query()]) -> FlowPage:
        """Pass `next` as `before` to go on: no flow is skipped or repeated, whatever
        arrives meanwhile."""
        ask = partial(
            self._flows.rows,
            query.chosen(),
            before=query.before,
            after=query.after,
            # One more than is shown tells whether there is another page.
            limit=query.limit + 1,
        )
        rows = await self._threads.run(ask)
        shown = rows[: query.limit]
        return FlowPage(
            flows=[showing.summary(row) for row in shown],
            next=shown[-1].id if len(rows) > query.limit else None,
        )

    async def get_flow(self, flow_id: FlowId) -> FlowDetail:
        """The bodies' bytes are at `/api/flows/{id}/request/body` and
        `/api/flows/{id}/response/body`."""
        return await self._threads.run(partial(self._detail, flow_id))

    async def delete_flow(self, flow_id: FlowId) -> None:
        """Marked or not."""
        if not await self._threads.run(partial(self._flows.delete, [flow_id])):
            raise no_such_flow(flow_id)

    async def delete_flows(self, query: Annotated[DeleteQuery, Query()]) -> Deleted:
        """Without any filter: all flows. Marked ones stay, but for `is_marked=true`."""
        gone = await self._threads.run(partial(self._flows.delete, query.chosen()))
        return Deleted(deleted=gone)

    async def put_mark(self, flow_id: FlowId, mark: Mark) -> Mark:
        """Marked flows outlive the limits of the store's size and age."""
        done = partial(self._flows.mark, flow_id, mark.is_marked)
        if not await self._threads.run(done):
            raise no_such_flow(flow_id)
        return mark

    def _detail(self, flow_id: int) -> FlowDetail:
        row = self._flows.row(flow_id)
        record = self._flows.get(flow_id, limit_bytes=0)
        if row is None or record is None:
            raise no_such_flow(flow_id)
        kept = (
            self._flows.kept_bytes(record, "request"),
            self._flows.kept_bytes(record, "response"),
        )
        return showing.detail(row, record, kept)


def no_such_flow(flow_id: int) -> ApiError:
    """The answer for an id that no kept flow has."""
    return ApiError(
        404, f"no flow {flow_id} is kept; it was deleted, pruned, or never was"
    )
