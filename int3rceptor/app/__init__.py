"""The one room that builds the planes out of the others; starts, drains, stops them.

Its names are looked up late: the hub, which is here too, must not load the proxy.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from int3rceptor.app.control_socket import ControlReady
    from int3rceptor.app.keeping import PluginLines
    from int3rceptor.app.proxy_plane import Ready, running
    from int3rceptor.app.serving import serve

_HOMES = {
    "control_socket": ("ControlReady",),
    "keeping": ("PluginLines",),
    "proxy_plane": ("Ready", "running"),
    "serving": ("serve",),
}

__all__ = ("ControlReady", "PluginLines", "Ready", "running", "serve")


def __getattr__(name: str) -> object:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(import_module(f"{__name__}.{home}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
