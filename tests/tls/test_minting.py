import datetime
import ssl
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from int3rceptor.errors import AuthorityError
from int3rceptor.tls.authority import Authority
from int3rceptor.tls.host_names import BadHostName
from int3rceptor.tls.minting import LEAF_BACKDATE, LEAF_VALIDITY, Minter
from tests.support.patience import PATIENT_S
from tests.support.tools import require
from tests.tls.test_authority import DAY, write_pair

LONG = ".".join(["a-rather-long-label"] * 5) + ".test"
HOSTS = [
    "example.test",
    "bücher.example",
    "trailing.dot.test.",
    "under_score.example.test",
    "localhost",
    "127.0.0.1",
    "[2001:db8::1]",
    LONG,
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.load_or_create(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def minter(authority: Authority) -> Minter:
    return Minter(authority)


def leaf_for(minter: Minter, host: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(minter.mint(host).certificate_der)


def alternative_names(
    leaf: x509.Certificate,
) -> x509.Extension[x509.SubjectAlternativeName]:
    return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Example.TEST", "example.test"),
        ("trailing.dot.test.", "trailing.dot.test"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("under_score.test", "under_score.test"),
        ("localhost", "localhost"),
        (LONG, LONG),
    ],
)
def test_a_dns_name_is_the_only_alternative_name(
    minter: Minter, host: str, name: str
) -> None:
    assert list(alternative_names(leaf_for(minter, host)).value) == [x509.DNSName(name)]


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("fe80::1%eth0", "fe80::1")],
)
def test_an_address_is_an_ip_alternative_name(
    minter: Minter, host: str, address: str
) -> None:
    names = alternative_names(leaf_for(minter, host)).value
    assert list(names) == [x509.IPAddress(ip_address(address))]


def test_the_common_name_rule(minter: Minter) -> None:
    fits = "x" * 59 + ".test"
    leaf = leaf_for(minter, fits)
    (common_name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common_name.value == fits
    assert not alternative_names(leaf).critical
    leaf = leaf_for(minter, "x" + fits)
    assert list(leaf.subject) == []
    assert alternative_names(leaf).critical


def test_what_every_leaf_says(minter: Minter, authority: Authority) -> None:
    leaf = leaf_for(minter, "example.test")
    extensions = leaf.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    issued_by = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    ca_key_id = authority.certificate.extensions.get_extension_for_class(
        x509.SubjectKeyIdentifier
    ).value
    assert issued_by.key_identifier == ca_key_id.digest
    own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert own == x509.SubjectKeyIdentifier.from_public_key(leaf.public_key())
    leaf.verify_directly_issued_by(authority.certificate)


def test_serials_are_positive_long_and_never_repeat(minter: Minter) -> None:
    serials = {leaf_for(minter, "example.test").serial_number for _ in range(50)}
    assert len(serials) == 50
    assert min(serials) > 0
    # 20 octets is the most that RFC 5280, section 4.1.2.2, allows.
    assert 64 < max(serials).bit_length() < 160


def test_the_dates_of_a_leaf(minter: Minter) -> None:
    now = datetime.datetime.now(datetime.UTC)
    leaf = leaf_for(minter, "example.test")
    minute = datetime.timedelta(minutes=1)
    assert abs(leaf.not_valid_before_utc - (now - LEAF_BACKDATE)) < minute
    assert abs(leaf.not_valid_after_utc - (now + LEAF_VALIDITY)) < minute


def test_a_leaf_lives_within_its_ca(tmp_path: Path) -> None:
    write_pair(tmp_path, start=-DAY / 4, end=3 * DAY)
    authority = Authority.load_or_create(tmp_path)
    leaf = leaf_for(Minter(authority), "example.test")
    assert leaf.not_valid_after_utc == authority.not_after
    assert leaf.not_valid_before_utc == authority.certificate.not_valid_before_utc


def test_an_expired_ca_mints_no_more(tmp_path: Path) -> None:
    write_pair(tmp_path, start=-3 * DAY, end=-DAY)
    pem = (tmp_path / "ca.pem").read_bytes()
    expired = x509.load_pem_x509_certificate(pem)
    good = Authority.load_or_create(tmp_path / "good")
    object.__setattr__(good, "certificate", expired)
    with pytest.raises(AuthorityError, match="expired on"):
        Minter(good).mint("example.test")


def test_a_host_that_cannot_be_named(minter: Minter) -> None:
    with pytest.raises(BadHostName):
        minter.mint("not a host")


def test_one_key_for_all_leaves_and_never_shown(minter: Minter) -> None:
    first, second = minter.mint("a.test"), minter.mint("b.test")
    assert first.key_pem == second.key_pem
    assert "PRIVATE" not in repr(first)


@pytest.fixture(params=["ecdsa", "rsa"], scope="module")
def any_authority(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Authority:
    directory = tmp_path_factory.mktemp("any-ca")
    if request.param == "rsa":
        return Authority.load_or_create(directory, key_type="rsa")
    return Authority.load_or_create(directory)


def run(*argv: str | Path) -> str:
    done = subprocess.run(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENT_S,
        check=False,
    )
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0, output
    return output


@pytest.fixture
def leaf_files(any_authority: Authority, tmp_path: Path) -> dict[str, Path]:
    minter = Minter(any_authority)
    files = {}
    for index, host in enumerate(HOSTS):
        files[host] = tmp_path / f"leaf{index}.pem"
        files[host].write_text(
            ssl.DER_cert_to_PEM_cert(minter.mint(host).certificate_der)
        )
    return files


def test_openssl_strict_accepts_every_leaf(
    any_authority: Authority, leaf_files: dict[str, Path]
) -> None:
    openssl = require("openssl")
    for host, file in leaf_files.items():
        bare = host.strip("[]").rstrip(".")
        is_address = bare[0].isdigit()
        option = "-verify_ip" if is_address else "-verify_hostname"
        name = bare.encode("idna").decode()
        run(
            openssl,
            *("verify", "-x509_strict", "-purpose", "sslserver", "-no-CApath"),
            *("-CAfile", any_authority.path, option, name, file),
        )


def test_gnutls_accepts_every_leaf(
    any_authority: Authority, leaf_files: dict[str, Path]
) -> None:
    certtool = require("certtool")
    for host, file in leaf_files.items():
        bare = host.strip("[]").rstrip(".")
        name = bare.encode("idna").decode()
        shown = run(
            *(certtool, "--verify", "--load-ca-certificate", any_authority.path),
            *("--verify-purpose", "1.3.6.1.5.5.7.3.1", "--verify-hostname", name),
            *("--infile", file),
        )
        assert "The certificate is trusted" in shown


def test_nss_accepts_every_leaf(
    any_authority: Authority, leaf_files: dict[str, Path], tmp_path: Path
) -> None:
    certutil = require("certutil")
    database = tmp_path / "nss"
    database.mkdir()
    store = ("-d", f"sql:{database}")
    run(certutil, "-N", *store, "--empty-password")
    run(
        *(certutil, "-A", *store, "-n", "ca", "-t", "C,,"),
        *("-i", any_authority.path),
    )
    for index, file in enumerate(leaf_files.values()):
        run(certutil, "-A", *store, "-n", f"leaf{index}", "-t", ",,", "-i", file)
        shown = run(certutil, "-V", *store, "-n", f"leaf{index}", "-u", "V", "-e")
        assert "certificate is valid" in shown
