from pathlib import Path

import pytest

from benchmarks import store_million
from benchmarks.measure import BenchmarkError
from benchmarks.store_million import LIMIT_MS, command, measure, verdict


def test_what_is_too_slow_is_named_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken_ms = {"list tag": 3.0, "count": LIMIT_MS, "show 5": LIMIT_MS + 51}
    assert verdict(taken_ms) == 1
    assert capsys.readouterr().err == "benchmark: over 200 ms: show 5 (251 ms)\n"


def test_what_is_fast_enough_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict({"count": LIMIT_MS}) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("limit_ms", "code"), [(60_000.0, 0), (0.0, 1)])
def test_queries_and_commands_are_both_asked_and_judged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    limit_ms: float,
    code: int,
) -> None:
    monkeypatch.setattr(store_million, "LIMIT_MS", limit_ms)
    monkeypatch.setattr(store_million, "ROUNDS", 1)
    monkeypatch.setattr(store_million, "commands", lambda _: ("count", "show 5"))
    assert measure(tmp_path, 60, is_settled=False) == code
    shown = capsys.readouterr()
    assert "ms  query    list tag" in shown.out
    assert "ms  command  int3rceptor flows show 5" in shown.out
    if code:
        assert "list tag (" in shown.err
        assert "show 5 (" in shown.err


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="int3rceptor flows show 5: "):
        command(tmp_path, "show 5")
