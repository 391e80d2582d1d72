"""The root CA: made once, checked at every start, exported, never signing by itself.

Its private key does not leave this file except by `export(with_key=True)` and `pair`.
"""

import contextlib
import datetime
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from int3rceptor.errors import AuthorityError, ConfigError
from int3rceptor.tls.authority_files import AuthorityFiles
from int3rceptor.tls.profile import profile

KeyType = Literal["ecdsa", "rsa"]
ExportFormat = Literal["pem", "der", "p12"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

PRODUCT = "INT3RCEPTOR"

# Trusting a root is manual work on every device, so it must not be needed again soon.
# The 398- and 825-day rules of browsers and Apple are for leaves, not for roots.
CA_VALIDITY = datetime.timedelta(days=3650)

# Devices whose clock is behind must not see a certificate of tomorrow.
CA_BACKDATE = datetime.timedelta(days=2)

RSA_BITS = 3072
# A CA that was brought along: what OpenSSL, NSS and Apple still accept.
MIN_RSA_BITS = 2048

_ID_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA certificate with its key. Build it with `load_or_create`.

    `warnings` are lines for the user about a pair that is usable but deserves a look.
    """

    certificate: x509.Certificate
    path: Path
    warnings: tuple[str, ...] = ()
    _key: PrivateKey = field(repr=False)

    @classmethod
    def load_or_create(
        cls, directory: Path, *, key_type: KeyType = "ecdsa"
    ) -> "Authority":
        """Load the CA of `directory`, or make one there if there is none.

        An existing CA is used whatever its key type. Raises AuthorityError when the
        pair is damaged, unreadable, half there, mismatched, expired, not yet valid, not
        a CA, or cannot be written.
        """
        files = AuthorityFiles(directory)
        files.make_directory()
        with files.locked():
            files.recover(_belong_together)
            if not files.exist():
                files.publish(*_create(key_type))
            return cls._load(files)

    @classmethod
    def regenerate(cls, directory: Path, key_type: KeyType = "ecdsa") -> "Authority":
        """Make a new CA; the pair it replaces stays as ca.pem.old and ca.key.old."""
        files = AuthorityFiles(directory)
        files.make_directory()
        with files.locked():
            files.recover(_belong_together)
            files.keep_replaced()
            files.publish(*_create(key_type))
            return cls._load(files)

    @classmethod
    def _load(cls, files: AuthorityFiles) -> "Authority":
        certificate = _parse_certificate(
            files.read(files.certificate_path), files.certificate_path
        )
        key_pem, warnings = files.read_key()
        key = _parse_key(key_pem, files.key_path)
        _check(certificate, key, files)
        return cls(
            certificate=certificate,
            path=files.certificate_path,
            warnings=warnings,
            _key=key,
        )

    @classmethod
    def of_pair(cls, path: Path, pair: tuple[bytes, bytes]) -> "Authority":
        """The CA that another process has loaded from `path`, by its `pair`: what the
        files hold by now does not matter."""
        certificate, key = pair
        return cls(
            certificate=_parse_certificate(certificate, path),
            path=path,
            _key=_parse_key(key, path),
        )

    @property
    def pair(self) -> tuple[bytes, bytes]:
        """Certificate and key as PEM, for other processes of the same proxy."""
        return self.certificate_pem, self._key_pem(None)

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def certificate_der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint_sha256(self) -> str:
        """Upper-case hexadecimal pairs with colons, as trust dialogs show it."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def subject(self) -> str:
        return self.certificate.subject.rfc4514_string()

    @property
    def not_after(self) -> datetime.datetime:
        return self.certificate.not_valid_after_utc

    @property
    def key_type(self) -> KeyType:
        return "rsa" if isinstance(self._key, rsa.RSAPrivateKey) else "ecdsa"

    def issue(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self._key, hashes.SHA256())

    def sign(self, data: bytes) -> bytes:
        """Sign as `issue` does."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))

    def export(
        self, format: ExportFormat, *, with_key: bool, passphrase: str | None
    ) -> bytes:
        """Give the certificate, with its key if asked for, in the given format.

        Raises ConfigError for a combination that does not exist or is unsafe.
        """
        if passphrase is not None and not passphrase:
            raise ConfigError("the passphrase for the CA's key is empty")
        if passphrase is not None and not with_key:
            raise ConfigError("a passphrase protects the key: add --with-key")
        match format:
            case "pem":
                key = self._key_pem(passphrase) if with_key else b""
                return self.certificate_pem + key
            case "der":
                if with_key:
                    raise ConfigError(
                        "DER holds the certificate alone; export the key as pem or p12"
                    )
                return self.certificate_der
            case "p12":
                return self._pkcs12(with_key=with_key, passphrase=passphrase)

    def _key_pem(self, passphrase: str | None) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            _encryption(passphrase),
        )

    def _pkcs12(self, *, with_key: bool, passphrase: str | None) -> bytes:
        if with_key and passphrase is None:
            # Most importers refuse it, and a bare root key on disk is an accident.
            raise ConfigError("PKCS#12 with the key needs a passphrase")
        return pkcs12.serialize_key_and_certificates(
            _common_name(self.certificate).encode(),
            self._key if with_key else None,
            self.certificate if with_key else None,
            None if with_key else [self.certificate],
            _encryption(passphrase),
        )

    def mobileconfig(self) -> bytes:
        """Give the certificate as an Apple configuration profile (XML).

        Identifiers derive from the certificate, so installing it again replaces it.
        """
        return profile(
            self.certificate_der,
            _common_name(self.certificate),
            f"Lets {PRODUCT} show this device's HTTPS traffic.",
        )


def _encryption(passphrase: str | None) -> serialization.KeySerializationEncryption:
    if passphrase is None:
        return serialization.NoEncryption()
    return serialization.BestAvailableEncryption(passphrase.encode())


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else f"{PRODUCT} CA"


def _create(key_type: KeyType) -> tuple[bytes, bytes]:
    """Make a CA; give its certificate and key as PEM."""
    key: PrivateKey = (
        rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        if key_type == "rsa"
        else ec.generate_private_key(ec.SECP256R1())
    )
    # The id tells the CAs of several machines apart in a list of trusted roots.
    common_name = f"{PRODUCT} CA {secrets.token_hex(_ID_BYTES)}"
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, PRODUCT),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CA_BACKDATE)
        .not_valid_after(now + CA_VALIDITY)
        # Leaves are the only thing it signs: no CA below it.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_ca_key_usage(), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _ca_key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _belong_together(certificate_pem: bytes, key_pem: bytes) -> bool:
    with contextlib.suppress(AuthorityError):
        certificate = _parse_certificate(certificate_pem, Path())
        key = _parse_key(key_pem, Path())
        return certificate.public_key() == key.public_key()
    return False


def _parse_certificate(content: bytes, path: Path) -> x509.Certificate:
    try:
        certificates = x509.load_pem_x509_certificates(content)
    except ValueError:
        raise _unusable(
            path, "is damaged: it holds no readable PEM certificate"
        ) from None
    if len(certificates) != 1:
        raise _unusable(path, f"holds {len(certificates)} certificates instead of one")
    return certificates[0]


def _parse_key(content: bytes, path: Path) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError:
        raise _unusable(path, "is encrypted; store it without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable(
            path, "is damaged: it holds no readable PEM private key"
        ) from None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= MIN_RSA_BITS:
        return key
    raise _unusable(path, f"is neither an EC key nor RSA of >= {MIN_RSA_BITS} bits")


def _check(
    certificate: x509.Certificate, key: PrivateKey, files: AuthorityFiles
) -> None:
    """Refuse a pair whose leaves clients would refuse: better now than at each one."""
    path = files.certificate_path
    if certificate.public_key() != key.public_key():
        raise _unusable(files.key_path, f"is not the key of {path}")
    now = datetime.datetime.now(datetime.UTC)
    if now >= certificate.not_valid_after_utc:
        raise _unusable(path, f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if now < certificate.not_valid_before_utc:
        raise _unusable(
            path,
            f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            " (is this machine's clock right?)",
        )
    try:
        extensions = certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        # RFC 5280, section 4.2.1.2: a CA has one, and its leaves point at it.
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        raise _unusable(
            path, "is not a CA: basicConstraints, keyUsage or its key id is missing"
        ) from None
    if not constraints.ca or not usage.key_cert_sign:
        raise _unusable(path, "is not a CA: it may not sign certificates")


def _unusable(path: Path, why: str) -> AuthorityError:
    return AuthorityError(
        f"{path} {why}; put a good pair there, or make a new CA with"
        " `int3rceptor ca regenerate`"
    )
