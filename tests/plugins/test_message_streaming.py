"""WebSocket messages and one instance of a guest: what it may do without a grant."""

import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.websocket import WebSocket, WebSocketMessage
from int3rceptor.plugins.abi.codes import Extra
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from int3rceptor.plugins.streaming.bodies import followed
from int3rceptor.plugins.streaming.chunks import message_chunk
from tests.plugins.support import EVERYTHING, guest, make_flow, make_instance

READ_ONLY = EVERYTHING - {grant_of(Permission.BODY_MODIFY)}


@pytest.mark.parametrize("data", [b"drop", b"h"])
def test_to_drop_takes_the_permission_of_changing(
    factory: MakerFactory, data: bytes
) -> None:
    flow = make_flow()
    message = WebSocketMessage(data=data, is_text=True, is_from_client=True)
    for granted in (EVERYTHING, READ_ONLY):
        instance = make_instance(guest("message_moods"), factory, granted=granted)
        instance.start()
        chunk = message_chunk(message)
        result = instance.run(Extra.WEBSOCKET_MESSAGE, flow, chunk)
        instance.close()
        if granted is EVERYTHING:
            assert type(result).__name__ == "Drop"
        elif data == b"drop":
            assert isinstance(result, Fault)
            assert result.kind is FaultKind.NOT_GRANTED
        else:
            assert result is None  # host_drop answered NO_PERMISSION
        assert chunk.given is None


def test_to_change_takes_it_too(factory: MakerFactory) -> None:
    message = WebSocketMessage(data=b"f", is_text=True, is_from_client=True)
    chunk = message_chunk(message)
    instance = make_instance(guest("message_moods"), factory, granted=READ_ONLY)
    instance.run(Extra.WEBSOCKET_MESSAGE, make_flow(), chunk)
    instance.close()
    assert chunk.given is None


def test_only_an_answer_that_opens_a_websocket_is_for_it() -> None:
    entries, flow = [Extra.RESPONSE_CHUNK, Extra.WEBSOCKET_MESSAGE], make_flow()
    assert followed(entries, HookPoint.RESPONSE, flow) is Extra.RESPONSE_CHUNK
    assert followed(entries[1:], HookPoint.RESPONSE, flow) is None
    flow.websocket = WebSocket()
    assert followed(entries, HookPoint.RESPONSE, flow) is Extra.WEBSOCKET_MESSAGE
    assert followed(entries[:1], HookPoint.RESPONSE, flow) is None
