"""TLS for test origins: a private CA, right contexts, and every wrong certificate.

Knows the tests' origins, nothing of the proxy.
"""

import datetime as dt
import ipaddress
import ssl
import warnings
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = ("localhost", "127.0.0.1", "::1")
DAY = dt.timedelta(days=1)


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Issuer:
    """A CA that signs what a test asks for, wrong things too."""

    def __init__(self, name: str, parent: "Issuer | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.parent = parent
        signer = parent or self
        self.certificate = (
            self._builder(self.name, signer.name, self.key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .add_extension(_usage(signs=True), True)
            .sign(signer.key, hashes.SHA256())
        )

    @staticmethod
    def _builder(
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePublicKey,
        start: dt.timedelta = -DAY,
        end: dt.timedelta = 30 * DAY,
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + start)
            .not_valid_after(now + end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
        )

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        names: Sequence[str] = NAMES,
        *,
        start: dt.timedelta = -DAY,
        end: dt.timedelta = 30 * DAY,
        with_chain: bool = True,
        self_signed: bool = False,
        with_alternative_names: bool = True,
    ) -> bytes:
        """Key, leaf and (`with_chain`) the CAs below the root, as one PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        signer = key if self_signed else self.key
        issuer = subject if self_signed else self.name
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            signer.public_key()
        )
        builder = (
            self._builder(subject, issuer, key.public_key(), start, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(_usage(signs=False), True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False
            )
            .add_extension(authority, False)
        )
        if with_alternative_names:
            alternative = x509.SubjectAlternativeName(list(map(general_name, names)))
            builder = builder.add_extension(alternative, False)
        leaf = builder.sign(signer, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        chain = private + leaf.public_bytes(serialization.Encoding.PEM)
        above = self
        while with_chain and above.parent is not None:
            chain += above.pem()
            above = above.parent
        return chain


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


class OriginTls:
    """The private CA of the test origins and the contexts they serve with."""

    BAD = (
        "expired",
        "not-yet-valid",
        "other-host",
        "self-signed",
        "untrusted-root",
        "incomplete-chain",
        "common-name-only",
    )

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = Issuer("Test origins root")
        self.ca = folder / "origin-ca.pem"
        self.ca.write_bytes(self.root.pem())
        self._bundles: dict[str, Path] = {}

    def bundle(self, kind: str = "good") -> Path:
        """A PEM file with key and chain: "good", or one of `BAD`."""
        if kind not in self._bundles:
            path = self.folder / f"origin-{kind}.pem"
            path.write_bytes(self._issue(kind))
            path.chmod(0o600)
            self._bundles[kind] = path
        return self._bundles[kind]

    def _issue(self, kind: str) -> bytes:
        match kind:
            case "good":
                return self.root.issue()
            case "expired":
                return self.root.issue(start=-30 * DAY, end=-DAY)
            case "not-yet-valid":
                return self.root.issue(start=DAY, end=30 * DAY)
            case "other-host":
                return self.root.issue(["elsewhere.test"])
            case "self-signed":
                return self.root.issue(self_signed=True)
            case "untrusted-root":
                return Issuer("A root nobody trusts").issue()
            case "incomplete-chain":
                middle = Issuer("Test origins intermediate", self.root)
                return middle.issue(with_chain=False)
            case "common-name-only":
                return self.root.issue(with_alternative_names=False)
            case _:
                raise ValueError(kind)

    def server(
        self, alpn: Sequence[str] = ("http/1.1",), kind: str = "good"
    ) -> ssl.SSLContext:
        """A server's context that offers these protocols."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.bundle(kind))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def server_tls_1_0(self) -> ssl.SSLContext:
        """A server that speaks nothing newer than TLS 1.0."""
        context = self.server(())
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            # Python warns of what is the very point here.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1
        return context


def client_context(ca: Path, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """A client that trusts this CA alone and checks names."""
    context = ssl.create_default_context(cafile=str(ca))
    # What OpenSSL checks when asked to be strict: AKI, key usage, critical constraints.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    # CPython 3.11.2, Debian 12's, takes a connection that was cut for one that ended.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
