from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.measure import BenchmarkError
from benchmarks.origin import Origin
from benchmarks.peers import PEERS, Place
from benchmarks.proxies import (
    BARE,
    INT3RCEPTOR,
    NO_STORE,
    Setup,
    int3rceptor_command,
)
from benchmarks.run import Round
from benchmarks.scenarios import SCENARIOS, SMOKE


def place(folder: Path, *, is_bulk: bool = False) -> Place:
    return Place(
        folder=folder, port=3128, origin_ca=folder / "origin-ca.pem", is_bulk=is_bulk
    )


def setup(folder: Path) -> Setup:
    origin = Origin(
        pid=1,
        plain_port=1,
        h1_port=2,
        h2_port=3,
        ca_pem=folder / "origin-ca.pem",
        small=folder / "small",
        bulk=folder / "bulk",
        bulk_bytes=0,
        bulk_crc=0,
        upload=folder / "upload",
    )
    return Setup(
        origin=origin,
        origin_folder=folder,
        workspace=folder,
        proxy_core=0,
        plugin=folder / "plugin.wasm",
    )


def round_of(name: str, folder: Path) -> Round:
    scenario = next(each for each in SCENARIOS if each.name == name)
    return Round(scenario=scenario, setup=setup(folder), core=0, sizes=SMOKE)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers, "PYTHON_PEERS", tmp_path / "bin")
    monkeypatch.setattr(peers, "NODE_PEERS", tmp_path / "node")
    monkeypatch.setattr(peers, "SQUID_CERTGEN", tmp_path / "certgen")


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.usefixtures("nothing_installed")
def test_a_peer_that_is_not_there_is_named_and_the_run_goes_on(
    name: str, tmp_path: Path
) -> None:
    run = round_of("h1", tmp_path)
    run.run((name,))
    (absence,) = run.absences
    assert (absence.system, absence.scenario) == (name, "h1")
    assert "not installed" in absence.reason
    assert run.samples == []


def test_a_peer_that_cannot_do_what_is_asked_is_named_too(tmp_path: Path) -> None:
    run = round_of("h2-10x10", tmp_path)
    run.run(("squid",))
    assert run.absences[0].reason == "speaks no HTTP/2 to clients"


def test_we_are_never_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    with pytest.raises(BenchmarkError, match="no-python: not found"):
        round_of("h1", tmp_path).run(("int3rceptor",))


@pytest.mark.parametrize("is_bulk", [True, False])
def test_mitmdump_streams_large_bodies_where_they_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_bulk: bool
) -> None:
    (tmp_path / "mitmdump").touch()
    monkeypatch.setattr(peers, "PYTHON_PEERS", tmp_path)
    command = PEERS["mitmdump"].command(place(tmp_path, is_bulk=is_bulk))
    assert ("stream_large_bodies=1m" in command) is is_bulk
    assert f"ssl_verify_upstream_trusted_ca={tmp_path}/origin-ca.pem" in command


def test_ours_is_measured_as_a_user_has_it(tmp_path: Path) -> None:
    command = int3rceptor_command(INT3RCEPTOR, setup(tmp_path), tmp_path)
    assert "--no-store" not in command
    assert "off" not in command
    assert command[command.index("--plugin") + 1] == str(tmp_path / "plugin.wasm")


@pytest.mark.parametrize(("name", "has_plugin"), [(NO_STORE, True), (BARE, False)])
def test_variants_of_ours_leave_parts_out(
    tmp_path: Path, name: str, has_plugin: bool
) -> None:
    command = int3rceptor_command(name, setup(tmp_path), tmp_path)
    assert "--no-store" in command
    assert command[command.index("--control") + 1] == "off"
    assert ("--plugin" in command) is has_plugin
