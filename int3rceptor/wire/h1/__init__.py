"""HTTP/1: bytes and events."""
