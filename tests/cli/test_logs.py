import json
import logging

import pytest

from int3rceptor.cli.output.logs import logging_to
from int3rceptor.config.model import Config

PROXY = logging.getLogger("int3rceptor.proxy")
LIBRARY = logging.getLogger("hpack.hpack")


def logged(config: Config, *records: tuple[logging.Logger, int, str]) -> list[str]:
    """The lines that these records become."""
    lines: list[str] = []
    with logging_to(lines.append, config):
        for logger, level, message in records:
            logger.log(level, "%s", message)
    return lines


def test_lines_say_who_speaks_and_how_bad_it_is() -> None:
    assert logged(
        Config(),
        (PROXY, logging.DEBUG, "detail"),
        (PROXY, logging.INFO, "loaded"),
        (PROXY, logging.WARNING, "odd"),
        (PROXY, logging.ERROR, "bad"),
    ) == [
        "int3rceptor: loaded",
        "int3rceptor: warning: odd",
        "int3rceptor: error: bad",
    ]


def test_quiet_leaves_warnings() -> None:
    shown = logged(
        Config(quiet=True), (PROXY, logging.INFO, "no"), (PROXY, logging.WARNING, "yes")
    )

    assert shown == ["int3rceptor: warning: yes"]


def test_verbose_names_the_logger_of_each_line() -> None:
    shown = logged(Config(verbose=True), (PROXY, logging.DEBUG, "detail"))

    assert shown == ["int3rceptor: debug: int3rceptor.proxy: detail"]


def test_debug_lines_of_libraries_stay_out_since_they_hold_headers() -> None:
    shown = logged(
        Config(verbose=True), (LIBRARY, logging.DEBUG, "authorization: secret")
    )

    assert shown == []


def test_message_cannot_forge_a_line_nor_drive_the_terminal() -> None:
    forged = "hi\nint3rceptor: error: pwned\x1b[2J"

    assert logged(Config(), (PROXY, logging.INFO, forged)) == [
        r"int3rceptor: hi\nint3rceptor: error: pwned\x1b[2J"
    ]


def raise_and_log(config: Config) -> str:
    lines: list[str] = []
    with logging_to(lines.append, config):
        try:
            raise ValueError("broken\x1b[2J")
        except ValueError:
            PROXY.exception("internal error")
    assert len(lines) == 1
    return lines[0]


def test_exception_is_one_line_without_its_traceback() -> None:
    assert raise_and_log(Config()) == (
        r"int3rceptor: error: internal error: ValueError: broken\x1b[2J"
        " (run with --verbose for the traceback)"
    )


def test_verbose_adds_the_traceback_escaped() -> None:
    shown = raise_and_log(Config(verbose=True))

    assert "\n    Traceback (most recent call last):\n" in shown
    assert "in raise_and_log" in shown
    assert "\x1b" not in shown


def test_wrong_arguments_cost_neither_line_nor_caller() -> None:
    lines: list[str] = []
    fields = {"name": PROXY.name, "levelno": logging.WARNING, "levelname": "WARNING"}
    record = logging.makeLogRecord({**fields, "msg": "%s and %s", "args": ("one",)})
    with logging_to(lines.append, Config()):
        logging.getLogger().handlers[-1].handle(record)

    assert lines == ["int3rceptor: warning: %s and %s"]


def test_json_has_the_documented_fields() -> None:
    lines = logged(Config(log_format="json"), (PROXY, logging.WARNING, "a\nb"))

    shown = json.loads(lines[0])
    assert list(shown) == ["type", "time", "level", "logger", "message"]
    assert shown["type"] == "log"
    assert shown["level"] == "warning"
    assert shown["logger"] == PROXY.name
    assert shown["message"] == "a\nb"


def test_json_has_the_traceback_in_a_field() -> None:
    config = Config(log_format="json", verbose=True)

    assert "Traceback" in json.loads(raise_and_log(config))["traceback"]


@pytest.mark.parametrize("name", ["", "int3rceptor"])
def test_everything_is_as_before_afterwards(name: str) -> None:
    logger = logging.getLogger(name)
    before = logger.level, list(logging.getLogger().handlers)

    logged(Config(verbose=True))

    assert (logger.level, list(logging.getLogger().handlers)) == before
