import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from int3rceptor.config.sources import MAX_FILE_BYTES, Flag, Loaded, load
from int3rceptor.errors import ConfigError


def flag(spelling: str, value: object) -> Flag:
    return Flag(spelling=spelling, value=value)


def load_with(
    text: str | bytes,
    folder: Path,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Flag] | None = None,
) -> Loaded:
    """Settings with a data directory in `folder` whose file holds `text`."""
    data_dir = folder / "data"
    data_dir.mkdir()
    content = text.encode() if isinstance(text, str) else text
    (data_dir / "int3rceptor.toml").write_bytes(content)
    given = {"data_dir": flag("--data-dir", str(data_dir)), **(flags or {})}
    return load(given, environ or {})


def test_later_source_wins_key_by_key(tmp_path: Path) -> None:
    text = 'listen = "127.0.0.1:1"\n[limits]\ndrain_s = 1\nclient_idle_s = 1\n'

    loaded = load_with(
        text,
        tmp_path,
        environ={
            "INT3RCEPTOR_LISTEN": "127.0.0.1:2",
            "INT3RCEPTOR_LIMITS__DRAIN_S": "2.5",
        },
        flags={"listen": flag("--listen", "127.0.0.1:3")},
    )

    file = tmp_path / "data" / "int3rceptor.toml"
    assert loaded.config.listen == "127.0.0.1:3"
    assert loaded.config.limits.drain_s == 2.5
    assert loaded.config.limits.client_idle_s == 1
    assert loaded.config.limits.head_timeout_s == 30
    assert loaded.places["listen"] == "--listen"
    assert loaded.places["limits.drain_s"] == "INT3RCEPTOR_LIMITS__DRAIN_S"
    assert loaded.places["limits.client_idle_s"] == f"{file}:4"
    assert "limits.head_timeout_s" not in loaded.places


def test_named_file_stands_in_place_of_the_data_dirs(tmp_path: Path) -> None:
    (tmp_path / "int3rceptor.toml").write_text('listen = "127.0.0.1:1"')
    named = tmp_path / "named.toml"
    named.write_text("quiet = true")
    data_dir = {"data_dir": flag("--data-dir", str(tmp_path))}

    by_flag = load(data_dir, {}, config_file=named).config
    by_variable = load(data_dir, {"INT3RCEPTOR_CONFIG": str(named)}).config

    assert by_flag.quiet
    assert by_flag.listen == "127.0.0.1:8080"
    assert by_variable == by_flag


def test_data_dir_of_the_environment_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "int3rceptor.toml").write_text("quiet = true")

    assert load({}, {"INT3RCEPTOR_DATA_DIR": str(tmp_path)}).config.quiet


def test_data_dir_without_a_file_or_not_yet_there_is_fine(tmp_path: Path) -> None:
    missing = {"data_dir": flag("--data-dir", str(tmp_path / "new"))}

    assert load(missing, {}).config.data_dir == tmp_path / "new"


def test_paths_of_a_file_are_meant_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    text = 'plugin = ["a.wasm", "~/b.wasm", "/c.wasm"]'

    config = load_with(text, tmp_path).config

    assert config.plugin == (
        tmp_path / "data" / "a.wasm",
        tmp_path / "home" / "b.wasm",
        Path("/c.wasm"),
    )


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("one.example", ("one.example",)),
        ("one.example, *.two.example:443", ("one.example", "*.two.example:443")),
        ('["one.example"]', ("one.example",)),
        ("[]", ()),
    ],
)
def test_list_in_a_variable(text: str, items: tuple[str, ...]) -> None:
    loaded = load({}, {"INT3RCEPTOR_TLS__PASSTHROUGH": text})

    assert loaded.config.tls.passthrough == items


def test_empty_variable_counts_as_unset() -> None:
    loaded = load({}, {"INT3RCEPTOR_LISTEN": "", "INT3RCEPTOR_CONFIG": ""})

    assert loaded.places == {}


def test_variable_that_resembles_a_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean INT3RCEPTOR_LISTEN"):
        load({}, {"INT3RCEPTOR_LISTENN": "127.0.0.1:1"})


def test_foreign_variables_with_the_prefix_are_left_alone() -> None:
    # Kubernetes sets such names for a service called int3rceptor.
    environ = {
        "INT3RCEPTOR_SERVICE_HOST": "10.0.0.1",
        "INT3RCEPTOR_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "INT3RCEPTOR_PORT": "tcp://10.0.0.1:8080",
        "INT3RCEPTOR_CI": "1",
    }

    assert load({}, environ).places == {}


def test_plugin_tables_are_handed_on_untouched(tmp_path: Path) -> None:
    text = "[plugins.slow]\npriority = 5\n[plugins.slow.config]\nhosts = ['a']\n"

    loaded = load_with(text, tmp_path)

    assert loaded.config.plugins == {
        "slow": {"priority": 5, "config": {"hosts": ["a"]}}
    }
    assert loaded.places["plugins"].endswith("int3rceptor.toml:1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quiet = yes", "int3rceptor.toml: not valid TOML: Invalid value (at line 1"),
        ("\n[limits]\ndrain_s = -1\n", "toml:3: limits.drain_s: must be greater"),
        ("[limits]\ndrain = 1\n", "toml:2: limits.drain: no such key (did you mean"),
        ("\n\n[limitz]\n", "toml:3: limitz: no such key (did you mean limits?)"),
        ("tls = 1", "toml:1: tls: must be a table, not 1"),
        ('data_dir = "/x"', "toml:1: data_dir: this file was found in the data"),
        (b"\xff", "int3rceptor.toml: not UTF-8, at byte 0"),
        ("plugin = ['']", "toml:1: plugin: '': a path cannot be empty"),
        ("rules = 'x'", "toml:1: rules: must be a list, not 'x'; write it in brackets"),
        ("a = " + "[" * 5000, "not valid TOML: nested more than 64 deep"),
        (f"[plugins{'.a' * 2000}]", "not valid TOML: nested more than 64 deep"),
        (b" " * (MAX_FILE_BYTES + 1), "larger than"),
    ],
    ids=[
        "syntax",
        "value",
        "key",
        "table",
        "type",
        "data-dir",
        "encoding",
        "no-path",
        "one-path",
        "lists",
        "tables",
        "size",
    ],
)
def test_bad_file_is_one_line_with_file_line_and_key(
    text: str | bytes, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_with(text, tmp_path)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_value_where_the_environment_needs_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tls: must be a table"):
        load_with("tls = 1", tmp_path, environ={"INT3RCEPTOR_TLS__KEY_TYPE": "rsa"})


def test_bad_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^INT3RCEPTOR_LIMITS__DRAIN_S: limits"):
        load({}, {"INT3RCEPTOR_LIMITS__DRAIN_S": "soon"})
    with pytest.raises(ConfigError, match=r"^INT3RCEPTOR_PLUGIN: not a TOML array"):
        load({}, {"INT3RCEPTOR_PLUGIN": "[oops"})


def test_missing_named_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*gone\.toml: No such file"):
        load({}, {}, config_file=tmp_path / "gone.toml")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "'': a path cannot be empty"),
        ("~nobody-has-this-name/x", "~ cannot be used: the home directory is unknown"),
    ],
    ids=["empty", "home"],
)
def test_a_name_that_is_no_path_is_refused_where_it_was_given(
    path: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=f"^--config: .*{said}$"):
        load({}, {}, config_file=path)
    if path:
        with pytest.raises(ConfigError, match=f"^INT3RCEPTOR_CONFIG: .*{said}$"):
            load({}, {"INT3RCEPTOR_CONFIG": path})


def test_a_relative_path_from_a_directory_that_is_gone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(ConfigError, match=r"'x': .*the working directory is gone"):
        load({}, {"INT3RCEPTOR_DATA_DIR": "x"})


def test_directory_as_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*: Is a directory"):
        load({}, {}, config_file=tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
def test_pipe_without_a_writer_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    with pytest.raises(ConfigError, match="pipe: a pipe that nobody writes settings"):
        load({}, {}, config_file=path)


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="there are none")
def test_settings_may_come_through_a_pipe_by_and_by() -> None:
    """As a shell's <( ) gives it: somebody has it open, and takes his time."""
    reading, writing = os.pipe()
    os.write(writing, b"quiet")

    def write_on() -> None:
        time.sleep(0.05)
        with os.fdopen(writing, "wb") as file:
            file.write(b" = true")

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        assert load({}, {}, config_file=Path(f"/dev/fd/{reading}")).config.quiet
    finally:
        os.close(reading)
        writer.join()
