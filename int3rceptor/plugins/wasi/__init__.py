"""WASI preview 1, as far as plugins need it: our own, on the host functions' path."""
