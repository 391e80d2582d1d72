"""A plugin's place at the messages of one WebSocket: each passes it when it is whole.

A message means something by itself: after a call that failed the next ones are shown
again, unless the plugin is a guard. All calls are of one instance, as long as it lives.
"""

from collections.abc import Awaitable, Callable
from inspect import isawaitable

from int3rceptor.errors import PluginError
from int3rceptor.hooks.dispatcher import Answer
from int3rceptor.hooks.verdicts import Drop
from int3rceptor.model.flow import Flow
from int3rceptor.model.websocket import Follower, Given, WebSocketMessage
from int3rceptor.plugins.abi.codes import Extra
from int3rceptor.plugins.streaming.chunks import BUDGET_SHARE, Chunk, message_chunk
from int3rceptor.plugins.streaming.runner import Runner


def follow_messages(runner: Runner, flow: Flow) -> None:
    """Have the guest see the messages of the WebSocket that `flow` opens."""
    assert flow.websocket is not None
    follower = Follower(
        name=runner.name,
        function=_Stage(runner, flow).ask,
        is_guard=lambda: runner.fails_closed,
        max_bytes=max(1, runner.call_bytes // BUDGET_SHARE),
    )
    flow.websocket.followers.append(follower)


class _Stage:
    """Shows a guest the messages of one WebSocket."""

    def __init__(self, runner: Runner, flow: Flow) -> None:
        self._runner = runner
        self._flow = flow
        self._show = self._pinned()

    async def ask(self, message: WebSocketMessage) -> Given:
        """What the guest makes of it; PluginError when the call fails."""
        chunk = message_chunk(message)
        try:
            answer = self._show(chunk)
            if isawaitable(answer):
                answer = await answer
        except PluginError:
            self._show = self._pinned()  # the instance of before may be gone
            raise
        return answer if isinstance(answer, Drop) else chunk.given

    def _pinned(self) -> Callable[[Chunk], Answer | Awaitable[Answer]]:
        return self._runner.shows(Extra.WEBSOCKET_MESSAGE, self._flow)
