import datetime
import os
import plistlib
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from int3rceptor.errors import AuthorityError, ConfigError
from int3rceptor.tls.authority import CA_VALIDITY, RSA_BITS, Authority, ExportFormat
from tests.support.tools import require

DAY = datetime.timedelta(days=1)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def key_pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    password: bytes | None = None,
) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )


def write_pair(
    directory: Path,
    *,
    start: datetime.timedelta = -DAY,
    end: datetime.timedelta = 30 * DAY,
    is_ca: bool = True,
    may_sign: bool = True,
    has_extensions: bool = True,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string("CN=brought along")
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
    )
    if has_extensions:
        usage = dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = (
            builder.add_extension(x509.BasicConstraints(is_ca, None), True)
            .add_extension(
                x509.KeyUsage(digital_signature=True, key_cert_sign=may_sign, **usage),
                True,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False
            )
        )
    certificate = builder.sign(key, hashes.SHA256())
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (directory / "ca.pem").write_bytes(pem)
    (directory / "ca.key").write_bytes(key_pem(key))
    (directory / "ca.key").chmod(0o600)


def test_a_new_ca_is_private_and_stays_the_same(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "int3rceptor"
    made = Authority.load_or_create(directory)
    assert mode(directory) == 0o700
    assert mode(directory / "ca.key") == 0o600
    assert (directory / "ca.pem").read_bytes() == made.certificate_pem
    assert sorted(path.name for path in directory.iterdir()) == [
        "ca.key",
        "ca.lock",
        "ca.pem",
    ]
    again = Authority.load_or_create(directory, key_type="rsa")
    assert again.certificate == made.certificate
    assert again.key_type == "ecdsa"
    assert again.warnings == ()


def test_what_a_new_ca_says_of_itself(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    other = Authority.load_or_create(tmp_path / "other")
    assert "INT3RCEPTOR CA " in authority.subject
    assert authority.subject != other.subject
    now = datetime.datetime.now(datetime.UTC)
    assert authority.certificate.not_valid_before_utc < now - DAY
    assert abs(authority.not_after - now - CA_VALIDITY) < DAY
    assert len(authority.fingerprint_sha256.split(":")) == 32
    extensions = authority.certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    assert "PRIVATE" not in repr(authority)
    assert "_key" not in repr(authority)


def test_an_rsa_ca_on_request(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path, key_type="rsa")
    assert authority.key_type == "rsa"
    public = authority.certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == RSA_BITS


def test_regenerate_keeps_the_old_pair(tmp_path: Path) -> None:
    old = Authority.load_or_create(tmp_path)
    old_key = (tmp_path / "ca.key").read_bytes()
    new = Authority.regenerate(tmp_path, "rsa")
    assert new.key_type == "rsa"
    assert new.certificate != old.certificate
    assert (tmp_path / "ca.pem.old").read_bytes() == old.certificate_pem
    assert (tmp_path / "ca.key.old").read_bytes() == old_key
    assert mode(tmp_path / "ca.key.old") == mode(tmp_path / "ca.pem.old") == 0o600
    assert Authority.load_or_create(tmp_path).certificate == new.certificate


@pytest.mark.parametrize("lost", ["ca.pem", "ca.key", None])
def test_regenerate_repairs_a_damaged_or_half_pair(
    tmp_path: Path, lost: str | None
) -> None:
    Authority.load_or_create(tmp_path)
    if lost is None:
        (tmp_path / "ca.pem").write_bytes(b"garbage")
    else:
        (tmp_path / lost).unlink()
    made = Authority.regenerate(tmp_path)
    assert Authority.load_or_create(tmp_path).certificate == made.certificate


def _damage(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda directory: (directory / name).write_bytes(content)


def _swap_key(directory: Path) -> None:
    Authority.load_or_create(directory / "other")
    (directory / "other" / "ca.key").replace(directory / "ca.key")


def _double(directory: Path) -> None:
    path = directory / "ca.pem"
    path.write_bytes(path.read_bytes() * 2)


def _pipe(directory: Path) -> None:
    (directory / "ca.pem").unlink()
    os.mkfifo(directory / "ca.pem")


def _folder(directory: Path) -> None:
    (directory / "ca.key").unlink()
    (directory / "ca.key").mkdir()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(_damage("ca.pem", b""), "ca.pem is damaged", id="empty-pem"),
        pytest.param(_damage("ca.key", b"?"), "ca.key is damaged", id="garbage-key"),
        pytest.param(_damage("ca.pem", bytes(1 << 20)), "too large", id="huge"),
        pytest.param(lambda at: (at / "ca.key").unlink(), "incomplete", id="no-key"),
        pytest.param(lambda at: (at / "ca.pem").unlink(), "incomplete", id="no-pem"),
        pytest.param(_swap_key, "is not the key of", id="other-key"),
        pytest.param(_double, "2 certificates", id="two"),
        pytest.param(_pipe, "not a regular file", id="pipe"),
        pytest.param(_folder, "directory", id="folder"),
        pytest.param(
            _damage("ca.key", key_pem(ed25519.Ed25519PrivateKey.generate())),
            "neither an EC key nor RSA",
            id="ed25519",
        ),
        pytest.param(
            _damage("ca.key", key_pem(ec.generate_private_key(ec.SECP256R1()), b"x")),
            "is encrypted",
            id="encrypted",
        ),
        pytest.param(
            lambda at: write_pair(at, start=-3 * DAY, end=-DAY), "expired", id="expired"
        ),
        pytest.param(
            lambda at: write_pair(at, start=DAY), "not valid before", id="future"
        ),
        pytest.param(
            lambda at: write_pair(at, is_ca=False, may_sign=False),
            "not a CA",
            id="leaf",
        ),
        pytest.param(lambda at: write_pair(at, may_sign=False), "not a CA", id="usage"),
        pytest.param(
            lambda at: write_pair(at, has_extensions=False), "not a CA", id="version-1"
        ),
        pytest.param(
            lambda at: (at / "ca.key").chmod(0o620), "can write", id="writable"
        ),
    ],
)
def test_a_bad_pair_is_refused_in_one_line(
    tmp_path: Path, damage: Callable[[Path], object], says: str
) -> None:
    Authority.load_or_create(tmp_path)
    damage(tmp_path)
    with pytest.raises(AuthorityError, match=says) as caught:
        Authority.load_or_create(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_pair_that_was_brought_along_is_used(tmp_path: Path) -> None:
    write_pair(tmp_path)
    assert Authority.load_or_create(tmp_path).subject == "CN=brought along"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    Authority.load_or_create(tmp_path)
    os.chown(tmp_path / "ca.key", 12_345, -1)
    with pytest.raises(AuthorityError, match=r"ca\.key belongs to another user"):
        Authority.load_or_create(tmp_path)

    Authority.regenerate(tmp_path)
    Authority.load_or_create(tmp_path)


def test_a_readable_key_is_hidden_with_a_warning(tmp_path: Path) -> None:
    Authority.load_or_create(tmp_path)
    (tmp_path / "ca.key").chmod(0o644)
    (warning,) = Authority.load_or_create(tmp_path).warnings
    assert str(tmp_path / "ca.key") in warning
    assert mode(tmp_path / "ca.key") == 0o600
    assert Authority.load_or_create(tmp_path).warnings == ()


def test_what_a_link_leads_to_is_not_hidden_from_others(tmp_path: Path) -> None:
    """It may be a key that another program reads, too."""
    elsewhere = tmp_path / "elsewhere.pem"
    Authority.load_or_create(tmp_path)
    (tmp_path / "ca.key").rename(elsewhere)
    elsewhere.chmod(0o640)
    (tmp_path / "ca.key").symlink_to(elsewhere)

    (warning,) = Authority.load_or_create(tmp_path).warnings

    assert "it is a link" in warning
    assert mode(elsewhere) == 0o640


def test_export_without_the_key(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    pem = authority.export("pem", with_key=False, passphrase=None)
    assert pem == authority.certificate_pem
    der = authority.export("der", with_key=False, passphrase=None)
    assert x509.load_der_x509_certificate(der) == authority.certificate
    p12 = pkcs12.load_pkcs12(
        authority.export("p12", with_key=False, passphrase=None), None
    )
    assert p12.key is None
    assert [one.certificate for one in p12.additional_certs] == [authority.certificate]


def test_export_with_the_key(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    public = authority.certificate.public_key()
    pem = authority.export("pem", with_key=True, passphrase=None)
    assert serialization.load_pem_private_key(pem, None).public_key() == public
    locked = authority.export("pem", with_key=True, passphrase="secret")
    assert b"ENCRYPTED" in locked
    assert serialization.load_pem_private_key(locked, b"secret").public_key() == public
    p12 = authority.export("p12", with_key=True, passphrase="secret")
    key, certificate, _ = pkcs12.load_key_and_certificates(p12, b"secret")
    assert certificate == authority.certificate
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == public


@pytest.mark.parametrize(
    ("kind", "with_key", "passphrase"),
    [
        ("der", True, None),
        ("p12", True, None),
        ("pem", True, ""),
        ("pem", False, "secret"),
    ],
)
def test_exports_that_make_no_sense_are_refused(
    tmp_path: Path, kind: ExportFormat, with_key: bool, passphrase: str | None
) -> None:
    authority = Authority.load_or_create(tmp_path)
    with pytest.raises(ConfigError):
        authority.export(kind, with_key=with_key, passphrase=passphrase)


def test_the_apple_profile_holds_the_certificate(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    profile = plistlib.loads(authority.mobileconfig())
    assert profile["PayloadType"] == "Configuration"
    (payload,) = profile["PayloadContent"]
    assert payload["PayloadType"] == "com.apple.security.root"
    assert payload["PayloadContent"] == authority.certificate_der
    assert payload["PayloadUUID"] != profile["PayloadUUID"]
    assert authority.mobileconfig() == authority.mobileconfig()


def test_openssl_reads_the_pkcs12(tmp_path: Path) -> None:
    openssl = require("openssl")
    authority = Authority.load_or_create(tmp_path)
    file = tmp_path / "ca.p12"
    file.write_bytes(authority.export("p12", with_key=True, passphrase="secret"))
    shown = subprocess.run(
        [openssl, "pkcs12", "-in", file, "-passin", "pass:secret", "-noenc"],
        capture_output=True,
        check=True,
    )
    assert b"BEGIN PRIVATE KEY" in shown.stdout
    assert b"BEGIN CERTIFICATE" in shown.stdout
