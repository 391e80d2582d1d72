"""Both ends of one direction of a WebSocket, by libraries that are not ours.

`websockets` makes the frames; `wsproto` reads them.
"""

import itertools
from collections.abc import Sequence

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from wsproto.extensions import Extension
from wsproto.extensions import PerMessageDeflate as ReadDeflate
from wsproto.frame_protocol import FrameProtocol
from wsproto.frame_protocol import Opcode as ReadOpcode

from int3rceptor.wire.websocket.deflate import Extensions, Side

Message = bytes | str
PLAIN = Extensions(is_deflated=False)


def deflated(bits: int = 15, *, forgets: bool = False) -> Extensions:
    """Both sides compress in this way."""
    side = Side(bits, forgets)
    return Extensions(is_deflated=True, client=side, server=side)


class Sender:
    """Makes the frames of one end."""

    def __init__(self, extensions: Extensions, *, is_client: bool) -> None:
        self._is_client = is_client
        side = extensions.client if is_client else extensions.server
        self._deflate = (
            PerMessageDeflate(
                remote_no_context_takeover=False,
                local_no_context_takeover=side.forgets,
                remote_max_window_bits=15,
                local_max_window_bits=side.bits,
            )
            if extensions.is_deflated
            else None
        )

    def frame(self, frame: Frame, *, is_plain: bool = True) -> bytes:
        """One frame as it goes over the wire."""
        deflate = self._deflate
        extensions = [] if is_plain or deflate is None else [deflate]
        return frame.serialize(mask=self._is_client, extensions=extensions)

    def message(
        self, message: Message, cuts: Sequence[int] = (), *, is_plain: bool = False
    ) -> list[bytes]:
        """The frames of a message that is cut up at these places."""
        data = message.encode() if isinstance(message, str) else message
        opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
        places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        frames: list[bytes] = []
        for start, end in itertools.pairwise(places):
            is_last = len(frames) == len(places) - 2
            one = Frame(opcode, data[start:end], fin=is_last)
            frames.append(self.frame(one, is_plain=is_plain))
            opcode = Opcode.CONT
        return frames

    def ping(self, data: bytes = b"") -> bytes:
        """A ping."""
        return self.frame(Frame(Opcode.PING, data))


class Receiver:
    """Reads what comes out, as the other end would."""

    def __init__(self, extensions: Extensions, *, is_client: bool) -> None:
        side = extensions.client if is_client else extensions.server
        found: list[Extension] = []
        if extensions.is_deflated:
            deflate = ReadDeflate(
                client_no_context_takeover=side.forgets,
                server_no_context_takeover=side.forgets,
                client_max_window_bits=max(side.bits, 9),
                server_max_window_bits=max(side.bits, 9),
            )
            deflate.finalize(deflate.name)
            found.append(deflate)
        # Who reads what a client sends is the server.
        self._protocol = FrameProtocol(client=not is_client, extensions=found)
        self._text = ""
        self._data = b""
        self.messages: list[Message] = []
        self.pings: list[bytes] = []

    def receive(self, data: bytes) -> None:
        """Bytes of the other end."""
        self._protocol.receive_bytes(data)
        for frame in self._protocol.received_frames():
            payload = frame.payload
            assert not isinstance(payload, tuple)  # a close
            if isinstance(payload, str):
                self._text += payload
            elif frame.opcode is ReadOpcode.PING:
                self.pings.append(bytes(payload))
                continue
            else:
                self._data += bytes(payload)
            if frame.frame_finished and frame.message_finished:
                is_text = frame.opcode is ReadOpcode.TEXT
                self.messages.append(self._text if is_text else self._data)
                self._text, self._data = "", b""
