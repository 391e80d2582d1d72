"""INT3RCEPTOR: an asyncio-native, TLS-intercepting HTTP proxy with confined plugins.

The library's names are here and are loaded when they are first used: importing the
package, as `python -m int3rceptor` does, costs nothing.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from int3rceptor.config.model import (
        Config,
        LimitsConfig,
        StoreConfig,
        TlsConfig,
        UpstreamConfig,
    )
    from int3rceptor.embedding import Hook, Listening, Proxy, Statistics
    from int3rceptor.errors import (
        ConfigError,
        DecodeError,
        Int3rceptorError,
        UsageError,
    )
    from int3rceptor.hooks.verdicts import Delay, Drop, PassThrough, Respond
    from int3rceptor.model.body import Body
    from int3rceptor.model.flow import Flow, Upstream
    from int3rceptor.model.headers import Headers
    from int3rceptor.model.message import Request, Response
    from int3rceptor.model.server_events import Event
    from int3rceptor.model.websocket import WebSocket, WebSocketMessage

__all__ = (
    "Body",
    "Config",
    "ConfigError",
    "DecodeError",
    "Delay",
    "Drop",
    "Event",
    "Flow",
    "Headers",
    "Hook",
    "Int3rceptorError",
    "LimitsConfig",
    "Listening",
    "PassThrough",
    "Proxy",
    "Request",
    "Respond",
    "Response",
    "Statistics",
    "StoreConfig",
    "TlsConfig",
    "Upstream",
    "UpstreamConfig",
    "UsageError",
    "WebSocket",
    "WebSocketMessage",
)

_HOMES = {
    "config.model": (
        "Config", "LimitsConfig", "StoreConfig", "TlsConfig", "UpstreamConfig",
    ),
    "embedding": ("Hook", "Listening", "Proxy", "Statistics"),
    "errors": ("ConfigError", "DecodeError", "Int3rceptorError", "UsageError"),
    "hooks.verdicts": ("Delay", "Drop", "PassThrough", "Respond"),
    "model.body": ("Body",),
    "model.flow": ("Flow", "Upstream"),
    "model.headers": ("Headers",),
    "model.message": ("Request", "Response"),
    "model.server_events": ("Event",),
    "model.websocket": ("WebSocket", "WebSocketMessage"),
}  # fmt: skip


def __getattr__(name: str) -> object:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value  # asked for once
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
