"""wasmtime: modules compiled, kept and called."""
