from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from int3rceptor.config.model import TABLES, Config, keys, read_config
from int3rceptor.errors import ConfigError
from int3rceptor.hooks.dispatcher import MAX_BUFFERED_BODY_BYTES


def refusal(**values: object) -> str:
    """The message of a Config that cannot be."""
    with pytest.raises(ConfigError) as caught:
        read_config(values)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_is_the_library_constructor(tmp_path: Path) -> None:
    pem = tmp_path / "root.pem"

    config = Config(listen="[::1]:0", data_dir=tmp_path, upstream_ca=[pem])

    assert config.listen_address == ("::1", 0)
    assert config.data_dir == tmp_path
    assert config.upstream_ca == (pem,)
    assert config.limits.client_idle_s > 0


def test_cannot_be_changed_once_made() -> None:
    config = Config()

    with pytest.raises(FrozenInstanceError):
        config.listen = "127.0.0.1:1"
    with pytest.raises(FrozenInstanceError):
        config.limits.drain_s = 1.0


def test_relative_and_home_paths_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    config = Config(data_dir=Path("~/data"), plugin=[Path("a.wasm")])

    assert config.data_dir == tmp_path / "home" / "data"
    assert config.plugin == (tmp_path / "a.wasm",)


def test_body_limit_is_that_of_the_hooks() -> None:
    assert Config().limits.max_buffered_body_bytes == MAX_BUFFERED_BODY_BYTES


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"listen": "8080"}, "listen: '8080': not an address; write HOST:PORT"),
        ({"listen": 8080}, "listen: must be a text, not 8080"),
        ({"listen": "h:70000"}, "listen: 'h:70000': port 70000 is too large"),
        ({"control": "on"}, "control: 'on': not an address; write HOST:PORT"),
        ({"control": "h:70000"}, "control: 'h:70000': port 70000 is too large"),
        ({"no_store": "never"}, "no_store: must be true or false, not 'never'"),
        ({"rules": "a.toml"}, "rules: must be a list, not 'a.toml'"),
        ({"store": {"max_bytes": 1}}, "store.max_bytes: must be greater than or equal"),
        ({"store": {"max_age_days": 0}}, "store.max_age_days: must be greater than 0"),
        ({"control_port": {"allowed_hosts": ["a b"]}}, "allowed_hosts: 'a b': not a"),
        ({"workers": 0}, "workers: must be greater than or equal to 1, not 0"),
        ({"workers": 65}, "workers: must be less than or equal to 64, not 65"),
        ({"quiet": True, "verbose": True}, "quiet: cannot be used together"),
        ({"log_format": "xml"}, "'xml' is not one of 'text' or 'json'"),
        ({"tls": {"key_type": "dsa"}}, "tls.key_type: 'dsa' is not one of"),
        ({"tls": {"passthrough": "x"}}, "tls.passthrough: must be a list, not 'x'"),
        ({"tls": {"passthrough": ["a b"]}}, "tls.passthrough: 'a b': not a host"),
        ({"tls": 1}, "tls: must be a table, not 1"),
        ({"limits": {"drain_s": 0}}, "limits.drain_s: must be greater than 0, not 0"),
        ({"limits": {"drain_s": float("inf")}}, "limits.drain_s: must be"),
        ({"limits": {"drain_s": float("nan")}}, "limits.drain_s: must be"),
        ({"limits": {"drain_s": "soon"}}, "limits.drain_s: must be a number"),
        ({"limits": {"max_connections": "many"}}, "must be a whole number"),
        ({"quiet": "perhaps"}, "quiet: must be true or false, not 'perhaps'"),
        ({"plugin": ["a\0b"]}, "plugin: 'a\\x00b': a path cannot contain a NUL"),
        ({"plugins": {"slow": 1}}, "plugins.slow: must be a table, not 1"),
    ],
)
def test_bad_value_is_one_line_with_key_and_remedy(
    values: dict[str, object], said: str
) -> None:
    assert said in refusal(**values)


def test_long_bad_value_is_shown_in_part() -> None:
    assert len(refusal(listen="x" * 10_000)) < 200


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"listten": "x"}, "listten: no such key (did you mean listen?)"),
        ({"limitz": {}}, "limitz: no such key (did you mean limits?)"),
        ({"limits": {"drain": 1}}, "(did you mean limits.drain_s?)"),
        ({"drain_s": 1}, "drain_s: no such key (did you mean limits.drain_s?)"),
        ({"zzz": 1}, "zzz: no such key"),
    ],
)
def test_unknown_key_is_refused_with_the_nearest_known(
    values: dict[str, object], hint: str
) -> None:
    assert refusal(**values).endswith(hint)


def test_context_says_where_a_key_was_set() -> None:
    places = {"limits.drain_s": "proxy.toml:7", "tls": "proxy.toml:2"}

    with pytest.raises(ConfigError, match=r"^proxy\.toml:7: limits\.drain_s: must"):
        read_config({"limits": {"drain_s": -1}}, places)
    # No place of its own: that of its table.
    with pytest.raises(ConfigError, match=r"^proxy\.toml:2: tls\.x: no such key"):
        read_config({"tls": {"x": 1}}, places)


def test_every_key_has_a_meaning_on_one_line() -> None:
    for key in keys():
        description = key.setting.description
        assert description.endswith("."), key.path
        assert "\n" not in description


def test_every_table_is_walked_into() -> None:
    walked = {key.path.partition(".")[0] for key in keys() if "." in key.path}

    assert walked == set(TABLES)
