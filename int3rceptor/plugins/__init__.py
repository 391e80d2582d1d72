"""WebAssembly plugins: the engine, its limits and the guest's view of a flow."""
