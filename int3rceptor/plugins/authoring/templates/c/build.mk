# Zig compiles C for WebAssembly out of the box, as a program or as a Python package; so
# does clang with wasm-ld.
ZIG := $(or $(shell command -v zig),$(if $(shell command -v wasm-ld),,python3 -m ziglang))
WASM_CC ?= $(if $(ZIG),$(ZIG) cc -target wasm32-freestanding,clang --target=wasm32)

@MODULE@: plugin.c int3rceptor.h
	$(WASM_CC) -Oz -nostdlib -Wall -Wextra -Wl,--no-entry,--strip-all -o $@ plugin.c
