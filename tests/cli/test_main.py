"""Commands that start no proxy, run in this process."""

import io
import json
import stat
from pathlib import Path

import platformdirs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from int3rceptor import __version__
from int3rceptor.cli.given import METAVARS
from int3rceptor.cli.main import main
from int3rceptor.config.model import keys

EMPTY_MODULE = '(module (func (export "on_request") (result i32) i32.const 0))'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test touches the user's own data directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line with which a command line is refused, exit code 2."""
    assert main([str(one) for one in arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    prefix = "int3rceptor: error: "
    assert shown.err.startswith(prefix)
    return shown.err.removeprefix(prefix).rstrip("\n")


def output(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What a command prints that succeeds."""
    assert main([str(one) for one in arguments]) == 0
    return capsys.readouterr().out


def test_characters_that_a_terminal_has_not_are_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.BytesIO()
    with io.TextIOWrapper(terminal, encoding="latin-1") as out:
        monkeypatch.setattr("sys.stdout", out)
        assert (
            main(["config", "--data-dir", str(tmp_path / "\u0142\u00f3d\u017a")]) == 0
        )

        assert b"\\u0142\xf3d\\u017a" in terminal.getvalue()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "--version") == f"int3rceptor {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["run", "--help"]])
def test_help_shows_every_flag(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = output(capsys, *arguments)

    for name in (*METAVARS, "config"):
        assert f"--{name.replace('_', '-')} " in shown


def test_help_shows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output(capsys, "--help")

    for command in ("run", "ca", "plugins", "config"):
        assert f" {command} " in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lissten", "x"], "No such option: --lissten"),
        (["run", "--lissten", "x"], "--listen"),
        (["--listen"], "--listen"),
        (["nonsense"], "No such command 'nonsense'"),
        (["run", "nonsense"], "nonsense"),
        (["--listen", "nonsense"], "--listen: 'nonsense': not an address"),
        (["--control", "nonsense"], "--control: 'nonsense': not an address"),
        (["--workers", "0"], "--workers: must be greater than or equal to 1, not '0'"),
        (["--workers=-2"], "--workers: must be greater than or equal to 1, not '-2'"),
        (["--workers", "65"], "--workers: must be less than or equal to 64, not '65'"),
        (["--workers", "two"], "--workers: must be a whole number"),
        (["--log-format", "xml"], "--log-format: 'xml' is not one of"),
        (["--quiet", "--verbose"], "--quiet: cannot be used together with verbose"),
        (["--listen", "127.0.0.1:0", "config"], "flags go after the command `config`"),
        (["config", "--json", "show"], "flags go after `show`"),
        (["ca"], "Missing command"),
        (["ca", "regenerate"], "add --yes"),
        (["ca", "export", "--format", "gif"], "'--format': 'gif' is not one of 'pem'"),
        (["plugins", "check"], "FILE"),
    ],
)
def test_bad_command_line_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, *arguments)


@pytest.mark.parametrize(
    "command", [["config"], ["ca", "show"], ["flows", "list"]], ids=lambda one: one[0]
)
def test_a_path_that_is_empty_is_not_the_working_directory(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # What `--data-dir "$UNSET"` gives: keys and flows would land wherever one stands.
    monkeypatch.chdir(tmp_path)

    assert "a path cannot be empty" in refused(capsys, *command, "--data-dir", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [["config"], ["ca", "show"], ["flows", "list"]], ids=lambda one: one[0]
)
def test_without_a_home_a_data_directory_must_be_named(
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def nobody(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_data_path", nobody)

    assert "home directory is unknown; name a directory with --data-dir" in refused(
        capsys, *command
    )


def test_bad_text_on_the_command_line_cannot_drive_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "\x1b" not in refused(capsys, "--config", "/\x1b[2J\n")


def test_config_shows_value_and_origin_of_every_key(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "proxy.toml"
    file.write_text("[limits]\ndrain_s = 3\n")
    monkeypatch.setenv("INT3RCEPTOR_TLS__KEY_TYPE", "rsa")
    given = ["--config", str(file), "--listen", "127.0.0.1:9"]

    shown = json.loads(output(capsys, "config", "--json", *given))
    table = output(capsys, "config", "show", *given)

    assert list(shown) == [key.path for key in keys()]
    assert shown["listen"] == {"value": "127.0.0.1:9", "from": "--listen"}
    assert shown["limits.drain_s"] == {"value": 3.0, "from": f"{file}:2"}
    assert shown["tls.key_type"] == {
        "value": "rsa",
        "from": "INT3RCEPTOR_TLS__KEY_TYPE",
    }
    assert shown["limits.client_idle_s"]["from"] == "default"
    rows = [line.split() for line in table.splitlines()]
    assert ["limits.drain_s", "3.0", f"{file}:2"] in rows
    assert output(capsys, "config", *given) == table


def test_switches_and_lists_arrive(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--quiet", "--no-store", "--plugin", "/a.wasm", "--plugin", "/b.wat"]

    shown = json.loads(output(capsys, "config", "--json", *given))

    assert shown["quiet"]["value"] is True
    assert shown["no_store"]["from"] == "--no-store"
    assert shown["insecure_upstream"]["from"] == "default"
    assert shown["plugin"]["value"] == ["/a.wasm", "/b.wat"]


def test_ca_show_makes_one_and_tells_its_fingerprint(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = output(capsys, "ca", "show", "--data-dir", home / "data")

    assert f"Certificate: {home / 'data' / 'ca.pem'}" in first
    assert "SHA-256: " in first
    assert output(capsys, "ca", "show", "--data-dir", home / "data") == first


def test_ca_export_never_gives_the_key_unasked(
    home: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    data = ["--data-dir", str(home)]

    assert main(["ca", "export", *data]) == 0
    pem = capfdbinary.readouterr().out
    assert main(["ca", "export", "--format", "der", *data]) == 0
    der = capfdbinary.readouterr().out
    assert main(["ca", "export", "--format", "p12", *data]) == 0
    p12 = capfdbinary.readouterr().out

    certificate = x509.load_pem_x509_certificate(pem)
    assert pem == (home / "ca.pem").read_bytes()
    assert b"PRIVATE KEY" not in pem
    assert x509.load_der_x509_certificate(der) == certificate
    assert pkcs12.load_key_and_certificates(p12, None)[0] is None


def test_ca_export_with_the_key_goes_to_a_new_private_file(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, secret = home / "out.p12", home / "secret"
    secret.write_text("open sesame\n")
    command = ["ca", "export", "--data-dir", home, "--format", "p12", "--with-key"]
    command += ["--passphrase-file", secret, "--out", out]

    assert output(capsys, *command) == ""

    key, certificate, _ = pkcs12.load_key_and_certificates(
        out.read_bytes(), b"open sesame"
    )
    assert key is not None
    assert certificate is not None
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "only written to a new file" in refused(capsys, *command)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="of Linux")
def test_a_file_that_cannot_be_written_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = refused(capsys, "ca", "export", "--out", "/dev/full")

    assert line == "/dev/full: No space left on device"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "p12", "--with-key"], "needs a passphrase"),
        (["--format", "der", "--with-key"], "DER holds the certificate alone"),
        (["--passphrase-file", "/nonexistent"], "/nonexistent: No such file"),
        (["--out", "/nonexistent/x"], "/nonexistent/x: No such file"),
    ],
)
def test_ca_export_that_cannot_be_is_refused(
    arguments: list[str], said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, "ca", "export", "--data-dir", home, *arguments)


def test_ca_regenerate_keeps_the_old_one_beside(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output(capsys, "ca", "show", "--data-dir", home)
    old = (home / "ca.pem").read_bytes()

    shown = output(capsys, "ca", "regenerate", "--yes", "--data-dir", home)

    assert (home / "ca.pem.old").read_bytes() == old
    assert (home / "ca.pem").read_bytes() != old
    assert "SHA-256: " in shown


def test_plugins_check_describes_a_module(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "quiet.wat"
    file.write_text(EMPTY_MODULE)

    shown = output(capsys, "plugins", "check", file)

    assert "on_request" in shown
    assert "It can be loaded." in shown


def test_plugins_check_of_an_unusable_module_is_exit_code_2(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hookless = home / "hookless.wat"
    hookless.write_text("(module)")

    assert main(["plugins", "check", str(hookless)]) == 2
    assert "exports no hook" in capsys.readouterr().out
    assert "No such file" in refused(capsys, "plugins", "check", home / "gone.wasm")


def test_internal_error_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_settings: object) -> None:
        raise ZeroDivisionError("boom\nboom")

    monkeypatch.setattr("int3rceptor.cli.given.load", broken)

    assert main(["config"]) == 1
    shown = capsys.readouterr().err
    assert shown == (
        "int3rceptor: error: internal error: ZeroDivisionError: boom\\nboom"
        " (run with --verbose for the traceback)\n"
    )


def test_internal_error_has_its_traceback_when_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_settings: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("int3rceptor.cli.given.load", broken)

    assert main(["config", "--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_interrupt_before_the_proxy_runs_is_no_error_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("int3rceptor.cli.given.load", interrupted)

    assert main(["config"]) == 130
    assert capsys.readouterr().err.strip() == ""
