"""HTTP/2: bytes and events."""
