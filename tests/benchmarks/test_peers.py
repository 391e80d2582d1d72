import sys
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.measure import BenchmarkError
from benchmarks.origin import Origin
from benchmarks.peers import PEERS, RELAY, Place
from benchmarks.proxies import (
    BARE,
    INT3RCEPTOR,
    NO_PLUGIN,
    NO_STORE,
    STAMP,
    Setup,
    System,
    int3rceptor_command,
)
from benchmarks.run import Round, chosen
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.sizes import SMOKE


def place(folder: Path, *options: str) -> Place:
    return Place(
        folder=folder,
        port=3128,
        origin_ca=folder / "origin-ca.pem",
        origin_port=4443,
        options=options,
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
        load_core=0,
        proxy_core=0,
        plugin=folder / "plugin.wasm",
    )


def scenario_of(name: str) -> Scenario:
    return next(each for each in SCENARIOS if each.name == name)


def round_of(name: str, folder: Path) -> Round:
    return Round(scenario=scenario_of(name), setup=setup(folder), sizes=SMOKE)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers, "PYTHON_PEERS", tmp_path / "bin")
    monkeypatch.setattr(peers, "NODE_PEERS", tmp_path / "node")
    monkeypatch.setattr(peers, "GO_PEER", tmp_path / "goproxy")
    monkeypatch.setattr(peers, "SQUID_CERTGEN", tmp_path / "certgen")
    monkeypatch.setattr(peers, "_which", lambda _: None)


@pytest.mark.parametrize("name", [name for name in PEERS if name != RELAY])
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


@pytest.mark.parametrize(
    ("name", "peer", "reason"),
    [
        ("h2-10x10", "squid", "speaks no HTTP/2 to clients"),
        ("first", "sslsplit", "is told one origin, whose leaf serves all"),
        ("plain", "relay", "relays tunnels only"),
    ],
)
def test_a_peer_that_cannot_do_what_is_asked_is_named_too(
    tmp_path: Path, name: str, peer: str, reason: str
) -> None:
    run = round_of(name, tmp_path)
    run.run((peer,))
    assert run.absences[0].reason == reason


def test_we_are_never_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    with pytest.raises(BenchmarkError, match="no-python: not found"):
        round_of("h1", tmp_path).run(("int3rceptor",))


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("upload", "stream_large_bodies=1m"),
        ("h2-h1", "connection_strategy=lazy"),
    ],
)
def test_mitmdump_is_set_up_for_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, option: str
) -> None:
    (tmp_path / "mitmdump").touch()
    monkeypatch.setattr(peers, "PYTHON_PEERS", tmp_path)
    mitmdump = PEERS["mitmdump"]
    fitting = mitmdump.command(place(tmp_path, *scenario_of(name).fit.options))
    plain = mitmdump.command(place(tmp_path, *scenario_of("h1").fit.options))
    assert fitting == [*plain, "--set", option]
    assert f"ssl_verify_upstream_trusted_ca={tmp_path}/origin-ca.pem" in plain


def test_ours_is_measured_as_a_user_has_it(tmp_path: Path) -> None:
    command = int3rceptor_command(INT3RCEPTOR, setup(tmp_path), tmp_path, {})
    assert "--no-store" not in command
    assert "off" not in command
    assert command[command.index("--plugin") + 1] == str(tmp_path / "plugin.wasm")
    assert command[0] == sys.executable


@pytest.mark.parametrize(
    ("name", "has_store", "plugin"),
    [
        (NO_STORE, False, "plugin.wasm"),
        (BARE, False, None),
        (NO_PLUGIN, True, None),
        (STAMP, True, "stamp.wat"),
    ],
)
def test_variants_of_ours_leave_parts_out(
    tmp_path: Path, name: str, has_store: bool, plugin: str | None
) -> None:
    command = int3rceptor_command(name, setup(tmp_path), tmp_path, {})
    assert ("--no-store" not in command) is has_store
    assert (command[command.index("--control") + 1] != "off") is has_store
    assert ("--plugin" in command) is bool(plugin)
    if plugin:
        assert command[command.index("--plugin") + 1] == str(tmp_path / plugin)


def test_settings_of_a_scenario_are_shown_in_the_command(tmp_path: Path) -> None:
    settings = scenario_of("h1-h2").fit.settings
    command = int3rceptor_command(INT3RCEPTOR, setup(tmp_path), tmp_path, settings)
    assert command[:2] == ["env", "INT3RCEPTOR_UPSTREAM__HTTP2=always"]


@pytest.mark.parametrize(("takes_connect", "is_proxy"), [(True, True), (False, False)])
def test_a_peer_that_takes_no_connect_is_spoken_to_as_an_origin(
    tmp_path: Path, takes_connect: bool, is_proxy: bool
) -> None:
    system = System(
        name="any",
        via=("127.0.0.1", 5),
        ca_pem=tmp_path / "ca.pem",
        pid=1,
        folder=tmp_path,
        takes_connect=takes_connect,
    )
    route = system.route(setup(tmp_path).origin, "h2")
    assert (route.via, route.port) == (("127.0.0.1", 5), 3)
    assert route.is_proxy is is_proxy


def test_scenarios_and_systems_can_be_chosen_and_left_out() -> None:
    assert [each.name for each in chosen([], [], [])] == [s.name for s in SCENARIOS]
    ((scenario, systems),) = chosen(["h1"], [], ["squid", "direct"]).items()
    assert systems == tuple(
        name for name in scenario.systems if name not in ("squid", "direct")
    )
    everyone = chosen(["h1", "plugin"], ["relay"], ["plugin"])
    assert {each.name: names for each, names in everyone.items()} == {"h1": ("relay",)}
