ZIG ?= $(if $(shell command -v zig),zig,python3 -m ziglang)

@MODULE@: plugin.zig int3rceptor.zig
	$(ZIG) build-exe plugin.zig -target wasm32-freestanding -fno-entry -rdynamic \
		-O ReleaseSmall -fstrip -femit-bin=$@
