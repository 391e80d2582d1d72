"""Bytes to events and back, without I/O: HTTP/1 framing, HTTP/2, first bytes."""
