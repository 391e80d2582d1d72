import json

import pytest

from int3rceptor.cli.output.json_lines import json_line, timestamp


@pytest.mark.parametrize(
    "text", ["plain", "grün", "\x1b[2J\n", "\u202e", "💀", "\\udc80"]
)
def test_texts_come_back_whole_and_the_line_is_ascii(text: str) -> None:
    line = json_line({"url": text})

    assert json.loads(line) == {"url": text}
    assert line.isascii()
    assert line.isprintable()


def test_bytes_that_were_no_text_are_shown_escaped_at_any_depth() -> None:
    bad = b"/\xff".decode("utf-8", "surrogateescape")

    line = json_line({"url": bad, "marks": [{"notes": [bad, 1, None]}], "x": "💀"})

    assert json.loads(line) == {
        "url": r"/\xff",
        "marks": [{"notes": [r"/\xff", 1, None]}],
        "x": "💀",
    }
    assert "\\ud" not in line.replace("\\ud83d\\udc80", "")


def test_timestamp_is_utc_with_milliseconds() -> None:
    assert timestamp(1_700_000_000.5) == "2023-11-14T22:13:20.500+00:00"
