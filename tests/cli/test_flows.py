"""`flows`: what its commands print and refuse, run in this process."""

import gzip
import json
import re
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from int3rceptor.cli.flows import listing as command
from int3rceptor.cli.flows import options as flow_options
from int3rceptor.cli.flows.options import flows_dir, moment
from int3rceptor.cli.main import main
from int3rceptor.config.sources import load
from int3rceptor.control.schemas import FlowDetail, FlowSummary
from int3rceptor.errors import ConfigError
from int3rceptor.store.asking.queries import MAX_ROWS
from tests.support.kept_flows import a_record, journal, take_in

JSON_HEAD = b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
BODY = b'{"a":[1.0,{}],"a":"\\u00e9"}'
FLOWS = [
    a_record(
        1, host="api.example.com", content=gzip.compress(BODY, mtime=0), head=JSON_HEAD
    ),
    a_record(2, host="api.example.com", method="POST", status=404, tags=["slow"]),
    a_record(3, host="evil.test", content=b"\x1b[2Jcleared\n", status=500),
    replace(
        a_record(4, host="bytes.test", content=bytes(range(256)), head=b""),
        messages_up=12,
        messages_down=1,
    ),
]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("INT3RCEPTOR_CONFIG", raising=False)
    monkeypatch.setenv("INT3RCEPTOR_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    journal(tmp_path / "flows", FLOWS[:2], is_ended=True)
    take_in(tmp_path / "flows", settles=True)
    journal(tmp_path / "flows", FLOWS[2:], name="2")
    return tmp_path


def output(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What `flows` prints that succeeds."""
    assert main(["flows", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line with which it refuses."""
    assert main(["flows", *map(str, arguments)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("int3rceptor: error: ")
    return shown.err.removeprefix("int3rceptor: error: ").rstrip("\n")


def test_count_is_the_number_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "count") == "4\n"
    assert output(capsys, "count", "--host", "*.example.com") == "2\n"
    assert output(capsys, "count", "--status", "5xx", "--text", "2jcle") == "1\n"


def test_list_is_aligned_and_safe_where_no_terminal_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = output(capsys, "list").splitlines()

    assert [line.split()[0] for line in lines] == ["ID", "4", "3", "2", "1"]
    column = lines[0].index("URL")
    assert {line[column : column + 8] for line in lines[1:]} == {"https://"}
    assert lines[3].endswith("https://api.example.com/2  #slow")
    assert "\x1b" not in "".join(lines)


def test_list_on_a_terminal_fits_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")

    shown = output(capsys, "list", "--limit", "2")
    lines = re.sub("\x1b\\[[0-9;]*m", "", shown).splitlines()

    assert len(lines) == 3
    assert "https://bytes.test/4" in lines[1]
    assert max(map(len, lines)) <= 100


def test_a_narrow_terminal_shows_less_of_the_url_and_all_of_the_rest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = output(capsys, "list").splitlines()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "72")

    shown = output(capsys, "list")
    lines = re.sub("\x1b\\[[0-9;]*m", "", shown).splitlines()

    assert max(map(len, lines)) <= 72
    assert [one.split()[:4] for one in lines] == [one.split()[:4] for one in wide]
    assert "…" in lines[1]


def test_list_as_json_has_the_fields_of_the_api(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = output(capsys, "list", "--json", "--limit", "3").splitlines()
    rows = [json.loads(line) for line in lines]

    assert [row["id"] for row in rows] == [4, 3, 2]
    assert set(rows[0]) == set(FlowSummary.model_fields)
    assert rows[2]["tags"] == ["slow"]
    assert [json.loads(one)["id"] for one in lines] == [4, 3, 2]
    next_page = output(capsys, "list", "--json", "--before", "2")
    assert json.loads(next_page)["id"] == 1


def test_list_says_why_nothing_may_be_there(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["flows", "list", "--data-dir", str(data_dir / "new")]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "nothing is kept yet" in shown.err
    assert "--no-store" in shown.err
    assert output(capsys, "count", "--data-dir", data_dir / "new") == "0\n"
    assert not (data_dir / "new").exists()

    assert main(["flows", "list", "--host", "nobody"]) == 0
    assert capsys.readouterr().err == "no flow fits\n"


def test_show_decodes_and_indents_every_value_as_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = output(capsys, "show", "1")

    assert shown.startswith("Flow 1: GET https://api.example.com/1\n")
    assert "\nGET /1 HTTP/1.1\nHost: api.example.com\n" in shown
    assert shown.endswith(
        '\n{\n  "a": [\n    1.0,\n    {}\n  ],\n  "a": "\\u00e9"\n}\n'
    )


def test_show_lets_nobody_drive_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = output(capsys, "show", "3") + output(capsys, "show", "4")

    assert "\\x1b[2Jcleared" in shown
    assert "\x1b" not in shown
    assert "# 256 B that are no text; --body response -o FILE saves them" in shown
    assert "00000010  10 11 12" in shown
    assert shown.count("Messages: ") == 1
    assert "\nMessages: 12 from the client, 1 from the origin\n" in shown


def test_show_raw_is_byte_for_byte(
    capfdbinary: pytest.CaptureFixture[bytes], data_dir: Path
) -> None:
    assert main(["flows", "show", "1", "--raw"]) == 0

    assert capfdbinary.readouterr().out == (
        FLOWS[0].request_sent
        + b"\r\n"
        + FLOWS[0].response_sent
        + b"\r\n"
        + FLOWS[0].response_body.content
    )


def test_show_writes_a_body_to_a_private_file(
    capsys: pytest.CaptureFixture[str], data_dir: Path
) -> None:
    out = data_dir / "body"

    assert output(capsys, "show", "1", "--body", "response", "-o", out) == ""
    assert out.read_bytes() == BODY
    assert out.stat().st_mode & 0o077 == 0
    output(capsys, "show", "1", "--body", "response", "--raw", "-o", out)
    assert gzip.decompress(out.read_bytes()) == BODY
    output(capsys, "show", "1", "--body", "request", "-o", out)
    assert out.read_bytes() == b""


def test_show_as_json_is_what_the_api_gives_and_the_bodies(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = json.loads(output(capsys, "show", "1", "--json"))
    raw = json.loads(output(capsys, "show", "1", "--json", "--raw"))
    data = json.loads(output(capsys, "show", "4", "--json"))["response"]["body"]

    assert set(first) == set(FlowDetail.model_fields)
    body = first["response"]["body"]
    assert (body["encoding"], body["data"]) == ("text", BODY.decode())
    assert body["is_decoded"]
    assert raw["response"]["body"]["encoding"] == "base64"
    assert not raw["response"]["body"]["is_decoded"]
    assert data["encoding"] == "base64"
    assert set(body) - {"encoding", "data", "is_decoded", "original"} == set(
        FlowDetail.model_fields["request"]
        .annotation.model_fields["body"]
        .annotation.model_fields
    )


def test_delete_and_mark(capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "mark", "4") == "flow 4 is marked\n"
    assert "*marked*" in output(capsys, "list", "--marked")
    assert "would delete 2 flows; add --yes" in refused(
        capsys, "delete", "--host", "*.example.com"
    )
    assert (
        output(capsys, "delete", "--host", "*.example.com", "--yes")
        == "deleted 2 flows\n"
    )
    assert output(capsys, "delete", "--all", "--yes") == "deleted 1 flow\n"
    assert output(capsys, "mark", "4", "--remove") == "flow 4 is no longer marked\n"
    assert output(capsys, "delete", "4", "9") == "deleted 1 flow\n"
    assert output(capsys, "count") == "0\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "99"], "no flow 99 is kept in "),
        (["mark", "99"], "no flow 99 is kept in "),
        (["show", "0"], "greater than or equal to 1"),
        (["show", "1", "--out", "x"], "--out needs --body"),
        (["show", "1", "--json", "--body", "request"], "--json cannot be used"),
        (["show", "1", "--explain", "--raw"], "--explain cannot be used"),
        (["list", "--status", "9x"], "--status: '9x': write a status"),
        (["list", "--host", "a b"], "--host: 'a b': not a host pattern"),
        (["list", "--since", "yesterday"], "--since: 'yesterday': write how long"),
        (["list", "--limit", "0"], "--limit"),
        (["delete"], "name flows by ID, by filters"),
        (["delete", "1", "--all"], "name flows by ID, by filters"),
        (["nonsense"], "No such command 'nonsense'"),
        (["list", "--config", "/nonexistent"], "cannot read /nonexistent"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, *arguments)


def test_a_body_that_does_not_decode_is_told(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = a_record(7, content=gzip.compress(BODY, mtime=0)[:-9], head=JSON_HEAD)
    journal(data_dir / "flows", [torn], name="3")

    assert "--raw gives it" in refused(
        capsys, "show", "7", "--body", "response", "-o", data_dir / "out"
    )
    assert not (data_dir / "out").exists()
    assert "# it ends early" in output(capsys, "show", "7")


def test_tail_prints_what_finishes_until_interrupted(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter(
        [[a_record(5)], [], [a_record(6, host="other.test"), a_record(7)], None]
    )

    def instead_of_waiting(_: float) -> None:
        records = next(looks)
        if records is None:
            raise KeyboardInterrupt
        journal(data_dir / "flows", records, name="2")

    monkeypatch.setattr(command.time, "sleep", instead_of_waiting)

    lines = output(capsys, "tail", "--json", "--host", "example.com").splitlines()

    assert [json.loads(line)["id"] for line in lines] == [5, 7]


def test_a_damaged_store_is_one_line(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (data_dir / "flows").glob("store.sqlite*"):
        file.write_bytes(b"no database " * 1000)

    assert "is damaged" in refused(capsys, "list")
    assert "is damaged" in refused(capsys, "delete", "1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 970.0), ("5m", 700.0), ("1970-01-01T00:01:00Z", 60.0)],
)
def test_since(text: str, expected: float) -> None:
    assert moment(text, 1000.0) == expected


def test_the_directory_is_the_one_that_the_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named.toml"
    named.write_text('data_dir = "elsewhere"\n')

    assert flows_dir("~/x", None) == tmp_path / "x" / "flows"
    assert flows_dir(None, None) == tmp_path / "flows"
    monkeypatch.delenv("INT3RCEPTOR_DATA_DIR")
    assert flows_dir(None, None) == load({}, {}).config.data_dir / "flows"
    assert flows_dir(None, str(named)) == tmp_path / "elsewhere" / "flows"
    assert flows_dir("/y", str(named)) == Path("/y/flows")
    with pytest.raises(ConfigError, match="NUL"):
        flows_dir("a\0b", None)


def test_lists_are_as_long_as_the_store_allows() -> None:
    assert flow_options.MAX_LISTED == MAX_ROWS
