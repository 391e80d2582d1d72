"""Small plugins from a few words, and files that change as editors change them."""

from pathlib import Path

GUESTS = Path(__file__).parents[1] / "guests"


def guest_file(name: str) -> Path:
    """A kept module, hostile or not: no two have the same name."""
    (path,) = GUESTS.rglob(f"{name}.wat")
    return path


def put(folder: Path, name: str, source: str | bytes, manifest: str = "") -> Path:
    """NAME.wat, and NAME.toml if there is something to say, each there at once."""
    path = folder / f"{name}.wat"
    folder.mkdir(parents=True, exist_ok=True)
    if manifest:
        _replace(path.with_suffix(".toml"), manifest.encode())
    _replace(path, source.encode() if isinstance(source, str) else source)
    return path


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(data)
    draft.replace(path)


def sayer(text: str, *hooks: str, init: int = 0) -> str:
    """Logs `text` in each of its hooks; plugin_init answers `init`."""
    exports = "".join(
        f'(export "{hook}" (func $say))' for hook in hooks or ("on_request",)
    )
    return f"""(module
      (import "env" "host_log" (func $log (param i32 i32 i32)))
      (memory (export "memory") 1) (data (i32.const 0) "{text}") {exports}
      (func (export "plugin_init") (result i32) (i32.const {init}))
      (func $say (result i32)
        (call $log (i32.const 1) (i32.const 0) (i32.const {len(text)}))
        (i32.const 0)))"""


def stamper(value: str) -> str:
    """Sets x-version on requests and responses: it asks to change both."""
    return f"""(module
      (import "env" "host_set_header" (func $set
        (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "x-version") (data (i32.const 16) "{value}")
      (export "on_request" (func $stamp)) (export "on_response" (func $stamp))
      (func $stamp (result i32)
        (drop (call $set
          (i32.const 0) (i32.const 9) (i32.const 16) (i32.const {len(value)})))
        (i32.const 0)))"""


def burner() -> str:
    """Computes until its limits end it."""
    return """(module (func (export "on_request") (result i32)
      (loop $again (br $again)) (i32.const 0)))"""


def counter() -> str:
    """Adds 1 to a key with each response, and sets x-count to the last digit."""
    return """(module
      (import "env" "host_kv_add" (func $add (param i32 i32 i32) (result i64)))
      (import "env" "host_set_header" (func $set
        (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "x-count") (data (i32.const 16) "n")
      (func (export "on_response") (result i32)
        (i64.store8 (i32.const 32) (i64.add (i64.const 48) (i64.rem_s
          (call $add (i32.const 16) (i32.const 1) (i32.const 1)) (i64.const 10))))
        (drop (call $set
          (i32.const 0) (i32.const 7) (i32.const 32) (i32.const 1)))
        (i32.const 0)))"""
