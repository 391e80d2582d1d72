# Zig compiles C for WebAssembly out of the box; else clang with wasm-ld.
WASM_CC ?= $(if $(shell command -v zig),zig cc -target wasm32-freestanding,clang --target=wasm32)

@MODULE@: plugin.c int3rceptor.h
	$(WASM_CC) -Oz -nostdlib -Wall -Wextra -Wl,--no-entry,--strip-all -o $@ plugin.c
