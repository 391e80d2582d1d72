"""Manifests: defaults, merging, and a clear line for everything that is wrong."""

from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.plugins.policy.manifest import (
    MAX_MANIFEST_BYTES,
    Limits,
    Settings,
    read_manifest,
)
from int3rceptor.plugins.policy.permissions import Permission, grant_of


def write(folder: Path, text: str) -> Path:
    (folder / "demo.toml").write_text(text)
    return folder / "demo.wasm"


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    manifest = read_manifest(tmp_path / "demo.wasm", {}, b"")
    assert (manifest.name, manifest.priority, manifest.on_error) == (
        "demo",
        100,
        "skip",
    )
    assert manifest.limits == Limits(
        fuel=1_000_000,
        host_calls=1_000,
        host_bytes=1_048_576,
        wall_s=5.0,
        memory_bytes=16_777_216,
    )
    assert manifest.scope.hosts == ("*",)
    assert manifest.granted == frozenset()


def test_the_config_goes_over_the_file_key_by_key(tmp_path: Path) -> None:
    module = write(
        tmp_path,
        'name = "x"\npriority = 5\n[limits]\nfuel = 7\nwall_s = 1\n[config]\na = "1"',
    )
    settings: dict[str, Settings] = {
        "x": {"limits": {"fuel": 8}, "config": {"b": 2}, "grant": ["respond"]},
        "demo": {"priority": 1},
    }
    manifest = read_manifest(module, settings, b"")
    assert (manifest.priority, manifest.limits.fuel) == (5, 8)
    assert manifest.limits.wall_s == 1.0
    assert manifest.config == {"a": "1", "b": 2}
    assert manifest.granted == {grant_of(Permission.RESPOND)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense = 1", "demo.toml: nonsense: no such key"),
        ("[limits]\nfuels = 1", "demo.toml: limits.fuels: no such key"),
        ("[limits]\nfuel = 0", "demo.toml: limits.fuel: "),
        ("[limits]\nfuel = 100_000_000_000", "demo.toml: limits.fuel: "),
        ("[limits]\nwall_s = 3600", "demo.toml: limits.wall_s: "),
        ("[limits]\nwall_s = nan", "demo.toml: limits.wall_s: "),
        ("[state]\nquota_bytes = -1", "demo.toml: state.quota_bytes: "),
        ('[state]\nkeep = "tape"', "demo.toml: state.keep: "),
        ('secret_headers = ["x y"]', "demo.toml: secret_headers: "),
        ('priority = "first"', "demo.toml: priority: "),
        ('on_error = "explode"', "demo.toml: on_error: "),
        ('name = "../evil"', "demo.toml: name: "),
        ('grant = ["respond"]', "demo.toml: grant: a manifest cannot grant"),
        ("= =", "demo.toml: not valid TOML: "),
        ("[config]\nwhen = 2020-01-01", "demo.toml: config.when"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(PluginError) as caught:
        read_manifest(write(tmp_path, text), {}, b"")
    assert str(caught.value).startswith(f"{tmp_path}/{message}")
    assert "\n" not in str(caught.value)


def test_a_mistake_in_the_config_names_its_table(tmp_path: Path) -> None:
    with pytest.raises(PluginError) as caught:
        read_manifest(tmp_path / "demo.wasm", {"demo": {"grant": ["all"]}}, b"")
    message = str(caught.value)
    assert message.startswith(
        "[plugins.demo] in the config: grant: 'all': no such permission"
    )
    assert "body.modify" in message


def test_a_file_that_is_too_large_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="larger than"):
        read_manifest(write(tmp_path, "#" * (MAX_MANIFEST_BYTES + 1)), {}, b"")
    (tmp_path / "demo.toml").write_bytes(b"\xff")
    with pytest.raises(PluginError, match="not valid TOML"):
        read_manifest(tmp_path / "demo.wasm", {}, b"")
    (tmp_path / "demo.toml").unlink()
    (tmp_path / "demo.toml").mkdir()
    with pytest.raises(PluginError, match="not a file"):
        read_manifest(tmp_path / "demo.wasm", {}, b"")


def test_the_guests_view_of_its_configuration(tmp_path: Path) -> None:
    module = write(
        tmp_path,
        '[config]\ns = "é"\nn = 1\nf = 1.5\nb = true\nl = ["a", 2]\nt.u = "v"',
    )
    seen = read_manifest(module, {}, b"").guest_config()
    assert {key: value.decode() for key, value in seen.items()} == {
        "": '{"s": "é", "n": 1, "f": 1.5, "b": true, "l": ["a", 2], "t": {"u": "v"}}',
        "s": "é",
        "n": "1",
        "f": "1.5",
        "b": "true",
        "l": "a\n2",
        "t.u": "v",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("respond:a", "respond is not for one thing alone"),
        ("topics", "topics must say for which topic"),
        ("topics:", "topics must say for which topic"),
        ("topics:a\n", "too long, or not printable"),
        ("topics:" + "a" * 1025, "too long, or not printable"),
    ],
)
def test_a_permission_that_is_none(text: str, message: str, tmp_path: Path) -> None:
    settings: dict[str, Settings] = {"demo": {"permissions": [text]}}
    with pytest.raises(PluginError, match=message):
        read_manifest(tmp_path / "demo.wasm", settings, b"")


def test_asks_and_grants_may_name_what_they_are_for(tmp_path: Path) -> None:
    settings: dict[str, Settings] = {
        "demo": {"permissions": ["topics:a:b", "record"], "grant": ["topics.send:a:b"]}
    }
    manifest = read_manifest(tmp_path / "demo.wasm", settings, b"")
    assert manifest.asked == {
        grant_of(Permission.TOPICS_HEAR, "a:b"),
        grant_of(Permission.TOPICS_SEND, "a:b"),
        grant_of(Permission.RECORD),
    }
    assert manifest.granted == {grant_of(Permission.TOPICS_SEND, "a:b")}


@pytest.mark.parametrize(
    "line",
    [
        r'version = "\u001b[2J"',
        r'description = "a\nb"',
        f'description = "{"x" * 257}"',
        r'scope.hosts = ["a\u0007"]',
    ],
)
def test_what_is_shown_to_people_cannot_drive_a_terminal(
    line: str, tmp_path: Path
) -> None:
    (tmp_path / "a.toml").write_text(line)
    with pytest.raises(PluginError, match="one line of at most 256 characters"):
        read_manifest(tmp_path / "a.wasm", {}, b"")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("args = 'x'", "wasi.args: must be a list"),
        ("args = [1]", "wasi.args: must be a text"),
        ('args = ["a\\u0000b"]', "wasi.args: a text with a zero byte"),
        (
            f'args = ["{"x" * 5000}"]',
            "or over 4096",
        ),
        (f"args = {['x'] * 300}", "wasi.args: more than 256 texts"),
        ('env = { "A=B" = "c" }', "wasi.env.A=B: not the name of a variable"),
        ('env = { "" = "c" }', "wasi.env.: not the name of a variable"),
        ("env = { A = 1 }", "wasi.env.A: must be a text"),
        ("stdin = true", "wasi.stdin: no such"),
    ],
)
def test_what_a_program_is_started_with_is_judged(
    text: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(PluginError) as caught:
        read_manifest(write(tmp_path, f"[wasi]\n{text}\n"), {}, b"")
    assert problem in str(caught.value)


def test_keys_that_workers_share_are_always_carried(tmp_path: Path) -> None:
    text = "[state]\nshared = true\n"
    assert read_manifest(write(tmp_path, text), {}, b"").state.shared
    with pytest.raises(PluginError, match=r"state.carry: keys that workers share are"):
        read_manifest(write(tmp_path, f"{text}carry = false\n"), {}, b"")


def test_what_a_program_is_started_with(tmp_path: Path) -> None:
    text = '[wasi]\nargs = ["--flag"]\nenv = { MODE = "test" }\n'
    wasi = read_manifest(write(tmp_path, text), {}, b"").wasi
    assert (wasi.args, wasi.env) == (("--flag",), {"MODE": "test"})
