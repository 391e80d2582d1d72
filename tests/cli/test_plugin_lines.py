import json

import pytest

from int3rceptor.cli.plugins.lines import lines_to
from int3rceptor.config.model import Config

DEBUG, INFO, WARN, ERROR = range(4)


def shown(config: Config, *lines: tuple[int, str]) -> list[str]:
    written: list[str] = []

    def write(*lines: str) -> None:
        assert lines
        written.extend(lines)

    lines_to(write, config)("slow", lines)
    return written


def test_a_line_names_plugin_and_level() -> None:
    assert shown(Config(), (INFO, "hello"), (WARN, "odd"), (ERROR, "bad")) == [
        "plugin slow: INFO hello",
        "plugin slow: WARN odd",
        "plugin slow: ERROR bad",
    ]


@pytest.mark.parametrize("config", [Config(), Config(quiet=True)])
def test_debug_lines_need_verbose_and_others_stand_when_quiet(config: Config) -> None:
    assert shown(config, (DEBUG, "no"), (INFO, "yes")) == ["plugin slow: INFO yes"]
    assert shown(Config(verbose=True), (DEBUG, "yes")) == ["plugin slow: DEBUG yes"]


def test_a_plugin_cannot_drive_the_terminal_or_forge_a_line() -> None:
    assert shown(Config(), (INFO, "a\x1b[2J\nplugin other: ERROR forged")) == [
        "plugin slow: INFO a\\x1b[2J\\nplugin other: ERROR forged"
    ]


def test_json_has_the_documented_fields() -> None:
    line = shown(Config(log_format="json"), (WARN, "a\nb"))[0]

    fields = json.loads(line)
    assert list(fields) == ["type", "time", "plugin", "level", "message"]
    assert (fields["type"], fields["plugin"]) == ("plugin", "slow")
    assert (fields["level"], fields["message"]) == ("warn", "a\nb")
