TARGET := wasm32-unknown-unknown

@MODULE@: $(wildcard src/*.rs) Cargo.toml
	cargo build --release --target $(TARGET)
	cp target/$(TARGET)/release/plugin.wasm $@
