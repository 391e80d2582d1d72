"""Leaf certificates: one per host, signed by the CA, all over one key per run.

Knows what clients demand of a certificate; knows no contexts and no caches.
"""

import datetime
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from int3rceptor.errors import AuthorityError
from int3rceptor.tls.authority import Authority
from int3rceptor.tls.host_names import parse_host
from int3rceptor.tls.leaf_form import LeafForm

# Short enough that a leaf found in some cache later is worthless, under every limit
# (398 days in browsers, 825 at Apple), long enough for a client with a wrong clock.
LEAF_VALIDITY = datetime.timedelta(days=30)

# Clients whose clock is up to a day behind still accept it. Less than the CA's own, so
# that a leaf never begins before its CA.
LEAF_BACKDATE = datetime.timedelta(days=1)

# RFC 5280, appendix A.1: ub-common-name-length.
MAX_COMMON_NAME_CHARS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafCertificate:
    """A leaf and the key that goes with it. The root is not in the chain: a client that
    trusts it has it (RFC 8446, section 4.4.2)."""

    certificate_der: bytes
    key_pem: bytes = field(repr=False)


class Minter:
    """Mints leaves. The key lives in memory only and dies with the process."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        key = ec.generate_private_key(ec.SECP256R1())
        self._key_pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self._form = LeafForm(_sample(authority, key.public_key()))

    def mint(self, host: str) -> LeafCertificate:
        """Mint a leaf for one DNS name or IP literal (shapes: `parse_host`).

        Raises BadHostName when no certificate can name `host`, AuthorityError when the
        CA has expired since it was loaded.
        """
        identity = parse_host(host)
        now = datetime.datetime.now(datetime.UTC)
        ca = self._authority.certificate
        not_after = min(now + LEAF_VALIDITY, ca.not_valid_after_utc)
        if not_after <= now:
            raise AuthorityError(
                f"the CA {self._authority.path} expired on"
                f" {ca.not_valid_after_utc:%Y-%m-%d}; make a new one with"
                " `int3rceptor ca regenerate` and restart"
            )
        to_be_signed = self._form.to_be_signed(
            serial=x509.random_serial_number(),
            validity=(max(now - LEAF_BACKDATE, ca.not_valid_before_utc), not_after),
            common_name=_common_name(str(identity)),
            name=identity,
        )
        signature = self._authority.sign(to_be_signed)
        return LeafCertificate(
            certificate_der=self._form.signed(to_be_signed, signature),
            key_pem=self._key_pem,
        )


def _sample(
    authority: Authority, public_key: ec.EllipticCurvePublicKey
) -> x509.Certificate:
    """Everything that is the same in every leaf."""
    ca = authority.certificate
    return authority.issue(
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(ca.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(ca.not_valid_before_utc)
        .not_valid_after(ca.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_LEAF_KEY_USAGE, critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False
        )
        .add_extension(_authority_key_identifier(ca), critical=False)
    )


_LEAF_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _common_name(name: str) -> str:
    """For people and old clients: left out where it is too long."""
    return name if len(name) <= MAX_COMMON_NAME_CHARS else ""


def _authority_key_identifier(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Copy the CA's own identifier: in a CA that was brought along it may be any."""
    own = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)
