"""INT3RCEPTOR: an asyncio-native, TLS-intercepting HTTP proxy with confined plugins."""

__version__ = "0.1.0"
