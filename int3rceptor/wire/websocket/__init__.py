"""WebSocket: bytes and messages."""
