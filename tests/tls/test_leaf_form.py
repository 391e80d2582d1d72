"""What we write of a leaf is what cryptography would write, byte for byte."""

import datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.tls.authority import Authority, KeyType
from int3rceptor.tls.leaf_form import LeafForm

Name = str | IPv4Address | IPv6Address

KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
NAMES = st.one_of(
    st.text("abcxyz019-_.", min_size=1, max_size=253),
    st.ip_addresses(),
)
MOMENTS = st.datetimes(
    min_value=datetime.datetime(1960, 1, 1),
    max_value=datetime.datetime(2120, 1, 1),
    timezones=st.just(datetime.UTC),
)


def builder(name: x509.Name) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")]))
        .public_key(KEY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(KEY), critical=False)
    )


def sample(authority: Authority) -> x509.Certificate:
    now = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    made = builder(x509.Name([])).serial_number(1)
    return authority.issue(made.not_valid_before(now).not_valid_after(now))


def library(
    authority: Authority,
    serial: int,
    validity: tuple[datetime.datetime, datetime.datetime],
    common_name: str,
    name: Name,
) -> x509.Certificate:
    names = [common_name] if common_name else []
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, one) for one in names]
    general = x509.DNSName(name) if isinstance(name, str) else x509.IPAddress(name)
    return authority.issue(
        builder(x509.Name(subject))
        .serial_number(serial)
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectAlternativeName([general]), critical=not common_name)
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.load_or_create(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def form(authority: Authority) -> LeafForm:
    return LeafForm(sample(authority))


@given(
    serial=st.integers(min_value=1, max_value=2**159 - 1),
    moments=st.tuples(MOMENTS, MOMENTS).map(sorted),
    common_name=st.text("abc.", max_size=64),
    name=NAMES,
)
def test_each_field_is_written_as_the_library_writes_it(
    authority: Authority,
    form: LeafForm,
    serial: int,
    moments: list[datetime.datetime],
    common_name: str,
    name: Name,
) -> None:
    validity = (moments[0], moments[1])
    ours = form.to_be_signed(
        serial=serial, validity=validity, common_name=common_name, name=name
    )
    theirs = library(authority, serial, validity, common_name, name)

    assert ours == theirs.tbs_certificate_bytes


@pytest.mark.parametrize("key_type", ["ecdsa", "rsa"])
def test_what_is_signed_is_a_certificate_of_the_ca(
    tmp_path: Path, key_type: KeyType
) -> None:
    authority = Authority.load_or_create(tmp_path, key_type=key_type)
    form = LeafForm(sample(authority))
    now = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    unsigned = form.to_be_signed(
        serial=2**100, validity=(now, now), common_name="", name="example.test"
    )
    der = form.signed(unsigned, authority.sign(unsigned))
    leaf = x509.load_der_x509_certificate(der)

    assert leaf.tbs_certificate_bytes == unsigned
    assert leaf.signature_algorithm_oid == sample(authority).signature_algorithm_oid
    leaf.verify_directly_issued_by(_issuer(authority, leaf.issuer, now))


def _issuer(
    authority: Authority, name: x509.Name, now: datetime.datetime
) -> x509.Certificate:
    """The CA's key under the name that the sample has as its issuer."""
    return authority.issue(
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(authority.certificate.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now)
    )
