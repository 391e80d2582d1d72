"""HPACK: field lists and blocks."""
