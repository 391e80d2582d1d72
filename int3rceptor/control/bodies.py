"""Bodies as downloads: by range, or decoded. Nothing that passed is for a browser to
show: it is a file to keep, whatever its bytes or its own Content-Type say.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request, Response
from starlette.responses import StreamingResponse

from int3rceptor.control import showing
from int3rceptor.control.asking import BodyQuery, FlowId, Side, once_each
from int3rceptor.control.described import documented, download
from int3rceptor.control.failures import ApiError, CutShort
from int3rceptor.control.flows import no_such_flow
from int3rceptor.control.kept import Threads
from int3rceptor.control.origins import single
from int3rceptor.control.ranges import UnsatisfiableRange, wanted_range
from int3rceptor.control.state import Flows
from int3rceptor.errors import ConfigError
from int3rceptor.store.decoding import decode_content
from int3rceptor.store.records import BodyRecord, FlowRecord

CHUNK_BYTES = 256 * 1024
"""Read from the store at a time: a slow client costs no more memory than this."""

MAX_DECODED_BYTES = 16 * 1024 * 1024
"""Largest body that is decoded: it is made in memory, and a KiB may become a MiB."""

MEDIA_TYPE = "application/octet-stream"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


class BodyRoutes:
    """/api/flows/{id}/{side}/body"""

    def __init__(self, flows: Flows, threads: Threads) -> None:
        self._flows = flows
        self._threads = threads

    def add_to(self, app: FastAPI) -> None:
        """Register it."""
        app.add_api_route(
            "/api/flows/{flow_id}/{side}/body",
            self.get_body,
            tags=["flows"],
            summary="Download a body",
            response_class=StreamingResponse,
            dependencies=[Depends(once_each)],
            responses={**documented(404, 416, 422, 503), **download()},
        )

    async def get_body(
        self,
        request: Request,
        flow_id: FlowId,
        side: Side,
        query: Annotated[BodyQuery, Query()],
    ) -> Response:
        """As it was sent on, up to what is kept of it (X-Int3rceptor-Body-Size is its
        full size). A `Range` of bytes is honoured, one at a time, if `If-Range` (where
        there is one) is the `ETag`. With `decoded=true`, ranges are not offered."""
        if query.decoded:
            return await self._threads.run(partial(self._decoded, flow_id, side))
        record, kept = await self._threads.run(partial(self._found, flow_id, side))
        etag = _etag(record, side)
        wanted = _wanted(request, kept, etag)
        part = range(kept) if wanted is None else wanted
        headers = _headers(record, side, len(part)) | {
            "Accept-Ranges": "bytes",
            "ETag": etag,
        }
        if wanted is not None:
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{kept}"
        return StreamingResponse(
            self._chunks(flow_id, side, part),
            200 if wanted is None else 206,
            headers,
            MEDIA_TYPE,
        )

    def _found(self, flow_id: int, side: str) -> tuple[FlowRecord, int]:
        record = self._flows.get(flow_id, limit_bytes=0)
        if record is None:
            raise no_such_flow(flow_id)
        return record, self._flows.kept_bytes(record, side)

    async def _chunks(
        self, flow_id: int, side: str, part: range
    ) -> AsyncIterator[bytes]:
        at = part.start
        while at < part.stop:
            stop = min(part.stop, at + CHUNK_BYTES)
            read = partial(self._flows.body, flow_id, side, at, stop)
            try:
                chunk = await self._threads.run(read, has_begun=True)
            except ConfigError as error:
                raise CutShort(str(error)) from None
            if not chunk:
                raise CutShort(f"flow {flow_id} was deleted while it was downloaded")
            yield chunk
            at += len(chunk)

    def _decoded(self, flow_id: int, side: str) -> Response:
        record = self._flows.get(flow_id, limit_bytes=MAX_DECODED_BYTES)
        if record is None:
            raise no_such_flow(flow_id)
        coding = showing.field(record, side, b"content-encoding")
        found = decode_content(_body(record, side).content, coding, MAX_DECODED_BYTES)
        headers = _headers(record, side, len(found.data))
        problem = found.problem
        if found.is_cut:
            problem = f"cut after {MAX_DECODED_BYTES} bytes"
        if problem:
            headers["X-Int3rceptor-Decoding"] = _field_value(problem)
        return Response(found.data, headers=headers, media_type=MEDIA_TYPE)


def _wanted(request: Request, size: int, etag: str) -> range | None:
    """The range to send; None for all. ApiError 416 when it cannot be sent."""
    head = request.scope["headers"]
    field = single(head, b"range")
    condition = single(head, b"if-range")
    if not field or condition not in (b"", etag.encode()):
        return None
    try:
        return wanted_range(field.decode("latin-1"), size)
    except UnsatisfiableRange as error:
        headers = {"Content-Range": f"bytes */{size}"}
        raise ApiError(416, str(error), headers=headers) from None


def _etag(record: FlowRecord, side: str) -> str:
    """What stands for these very bytes: a flow's bodies never change."""
    return f'"{record.id:x}-{int(record.created * 1e6):x}-{side}"'


def _headers(record: FlowRecord, side: str, length: int) -> dict[str, str]:
    name = f"flow-{record.id}-{side}.bin"
    return HEADERS | {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(length),
        "X-Int3rceptor-Body-Size": str(_body(record, side).size),
    }


def _body(record: FlowRecord, side: str) -> BodyRecord:
    return record.request_body if side == "request" else record.response_body


def _field_value(text: str) -> str:
    """Text that a header field can carry."""
    return "".join(one if " " <= one <= "~" else "?" for one in text)
