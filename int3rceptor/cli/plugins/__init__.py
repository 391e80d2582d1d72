"""`plugins`: what modules could do, tools for authors, those of a running proxy."""
