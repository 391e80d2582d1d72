"""`ca`: show, export and regenerate the certificate authority."""

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from int3rceptor.cli.flags import WHERE_FILES_ARE, takes_settings
from int3rceptor.cli.given import Given
from int3rceptor.cli.output.escaping import printable
from int3rceptor.errors import ConfigError
from int3rceptor.files.writing import naming

if TYPE_CHECKING:
    # Imported where it is used: cryptography takes longer than the other commands.
    from int3rceptor.tls.authority import Authority

MAX_PASSPHRASE_BYTES = 1024
"""OpenSSL takes no longer passphrase for a key."""

commands = typer.Typer(help="Show, export or regenerate the CA that clients trust.")


class Format(Enum):
    """Forms that clients import."""

    PEM = "pem"
    DER = "der"
    P12 = "p12"


@commands.command()
@takes_settings(WHERE_FILES_ARE)
def show(given: Given) -> None:
    """Show the CA certificate; one is made if there is none yet."""
    for line in _description(_authority(given)):
        typer.echo(line)


@commands.command()
@takes_settings(WHERE_FILES_ARE)
def export(
    given: Given,
    form: Annotated[
        Format, typer.Option("--format", help="pem, der or p12 (PKCS#12).")
    ] = Format.PEM,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: standard output.")
    ] = None,
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Export the CA's private key too.")
    ] = False,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Its first line encrypts the key (needed for p12)."
        ),
    ] = None,
) -> None:
    """Write the CA certificate in another form, with its key only if asked for."""
    passphrase = None if passphrase_file is None else _passphrase(passphrase_file)
    content = _authority(given).export(
        form.value, with_key=with_key, passphrase=passphrase
    )
    if out is not None:
        _write(out, content, is_secret=with_key)
        return
    stream = typer.get_binary_stream("stdout")
    if form is not Format.PEM and stream.isatty():
        raise ConfigError(
            f"--format {form.value} is binary: name a file with --out, or redirect"
        )
    stream.write(content)
    stream.flush()


@commands.command()
@takes_settings(WHERE_FILES_ARE)
def regenerate(
    given: Given,
    yes: Annotated[
        bool, typer.Option("--yes", help="Yes, clients must trust the new CA.")
    ] = False,
) -> None:
    """Make a new CA; the old one stays beside it as ca.pem.old and ca.key.old."""
    if not yes:
        raise ConfigError(
            "every client that trusts the present CA will have to trust the new one"
            " instead; add --yes to go on"
        )
    from int3rceptor.tls.authority import Authority

    config = given.load().config
    authority = Authority.regenerate(config.data_dir, config.tls.key_type)
    for line in _description(authority):
        typer.echo(line)
    typer.echo("Proxies that run now keep the old CA until they are started again.")


def _authority(given: Given) -> "Authority":
    from int3rceptor.tls.authority import Authority

    config = given.load().config
    authority = Authority.load_or_create(config.data_dir, key_type=config.tls.key_type)
    for warning in authority.warnings:
        typer.echo(f"int3rceptor: warning: {printable(warning)}", err=True)
    return authority


def _description(authority: "Authority") -> list[str]:
    return [
        f"Certificate: {printable(str(authority.path))}",
        f"Subject: {printable(authority.subject)}",
        f"SHA-256: {authority.fingerprint_sha256}",
        f"Key: {authority.key_type}",
        f"Valid until: {authority.not_after:%Y-%m-%d}",
    ]


def _passphrase(path: Path) -> str:
    with path.open("rb") as file:
        line = file.readline(MAX_PASSPHRASE_BYTES + 1).rstrip(b"\r\n")
    if len(line) > MAX_PASSPHRASE_BYTES:
        raise ConfigError(f"{path}: longer than {MAX_PASSPHRASE_BYTES} bytes")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the passphrase is not UTF-8") from None


def _write(path: Path, content: bytes, *, is_secret: bool) -> None:
    """A key goes into a new file of the user's own: an old one keeps its readers."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if is_secret else os.O_TRUNC)
    try:
        descriptor = os.open(path, flags, 0o600 if is_secret else 0o644)
    except FileExistsError:
        raise ConfigError(
            f"{path} exists; a private key is only written to a new file"
        ) from None
    with naming(path), os.fdopen(descriptor, "wb") as file:
        file.write(content)
