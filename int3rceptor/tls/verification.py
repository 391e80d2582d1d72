"""Turns a failed origin handshake into plain words: which check, which certificate.

Values in, values out; does no I/O and decides nothing.
"""

import datetime
import re
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from int3rceptor.errors import CertificateRejected, OriginTimeout, OriginTlsError

# What a page or a log line shows of a certificate that anyone may have written.
MAX_SHOWN_NAMES = 10
MAX_SHOWN_CHARS = 200


class TlsCheck(StrEnum):
    """What a handshake can fail on. The values are words for people."""

    EXPIRED = "certificate expired"
    NOT_YET_VALID = "certificate not yet valid"
    HOST_MISMATCH = "host name mismatch"
    SELF_SIGNED = "self-signed certificate"
    UNKNOWN_ISSUER = "unknown issuer"
    INCOMPLETE_CHAIN = "unknown issuer or incomplete chain"
    BAD_CERTIFICATE = "certificate not acceptable"
    NOT_TLS = "no TLS spoken"
    OLD_PROTOCOL = "TLS version too old"
    NO_COMMON_ALPN = "no common application protocol"
    CLIENT_CERTIFICATE = "client certificate required"
    UNKNOWN_NAME = "host name unknown to the origin"
    LEGACY_RENEGOTIATION = "insecure renegotiation"
    HANDSHAKE_REFUSED = "handshake refused"
    TIMEOUT = "handshake timed out"
    CONNECTION_LOST = "connection lost in the handshake"


_CERTIFICATE_CHECKS = frozenset(
    {
        TlsCheck.EXPIRED,
        TlsCheck.NOT_YET_VALID,
        TlsCheck.HOST_MISMATCH,
        TlsCheck.SELF_SIGNED,
        TlsCheck.UNKNOWN_ISSUER,
        TlsCheck.INCOMPLETE_CHAIN,
        TlsCheck.BAD_CERTIFICATE,
    }
)

# X509_V_ERR_* of OpenSSL; what is not here is BAD_CERTIFICATE with OpenSSL's words.
_BY_VERIFY_CODE = {
    9: TlsCheck.NOT_YET_VALID,
    10: TlsCheck.EXPIRED,
    18: TlsCheck.SELF_SIGNED,
    19: TlsCheck.UNKNOWN_ISSUER,
    20: TlsCheck.UNKNOWN_ISSUER,
    21: TlsCheck.UNKNOWN_ISSUER,
    62: TlsCheck.HOST_MISMATCH,
    64: TlsCheck.HOST_MISMATCH,
}

# Parts of OpenSSL's reason names, which differ in their prefixes between releases.
_BY_REASON = (
    ("ALERT_PROTOCOL_VERSION", TlsCheck.OLD_PROTOCOL),
    ("UNSUPPORTED_PROTOCOL", TlsCheck.OLD_PROTOCOL),
    ("NO_APPLICATION_PROTOCOL", TlsCheck.NO_COMMON_ALPN),
    ("CERTIFICATE_REQUIRED", TlsCheck.CLIENT_CERTIFICATE),
    ("UNRECOGNIZED_NAME", TlsCheck.UNKNOWN_NAME),
    ("UNSAFE_LEGACY_RENEGOTIATION", TlsCheck.LEGACY_RENEGOTIATION),
    ("WRONG_VERSION_NUMBER", TlsCheck.NOT_TLS),
    ("PACKET_LENGTH_TOO_LONG", TlsCheck.NOT_TLS),
    ("RECORD_LAYER_FAILURE", TlsCheck.NOT_TLS),
    ("HTTP_REQUEST", TlsCheck.NOT_TLS),
    ("UNEXPECTED_EOF", TlsCheck.CONNECTION_LOST),
)

_DATE = "%Y-%m-%d %H:%M UTC"

_DETAIL = {
    TlsCheck.EXPIRED: "{whose} expired on {not_after}",
    TlsCheck.NOT_YET_VALID: "{whose} is not valid before {not_before}",
    TlsCheck.HOST_MISMATCH: "{whose} is not for {host}; it names {names}",
    TlsCheck.SELF_SIGNED: "{whose} is signed by itself and by no authority",
    TlsCheck.UNKNOWN_ISSUER: "{whose} was issued by {issuer}, which is not trusted",
    TlsCheck.INCOMPLETE_CHAIN: "{whose} was sent alone; its issuer {issuer}"
    " is neither trusted nor in the chain",
    TlsCheck.BAD_CERTIFICATE: "{whose} was refused: {openssl}",
    TlsCheck.NOT_TLS: "what {host} answered is not TLS",
    TlsCheck.OLD_PROTOCOL: "{host} speaks only versions of TLS that are too old",
    TlsCheck.NO_COMMON_ALPN: "{host} speaks none of the protocols offered to it",
    TlsCheck.CLIENT_CERTIFICATE: "{host} wants a certificate from its client",
    TlsCheck.UNKNOWN_NAME: "the server there knows no site named {host}",
    TlsCheck.LEGACY_RENEGOTIATION: "{host} lacks secure renegotiation (RFC 5746)",
    TlsCheck.HANDSHAKE_REFUSED: "the handshake with {host} failed: {openssl}",
    TlsCheck.TIMEOUT: "{host} did not finish the handshake in time",
    TlsCheck.CONNECTION_LOST: "{host} ended the connection during the handshake",
}

_RENEW = "Renew the certificate at the origin. "
_TRUST = "If you trust that issuer, pass its certificate with --upstream-ca. "
_INSECURE = "To look at this origin all the same, start with --insecure-upstream."

_ADVICE = {
    TlsCheck.EXPIRED: _RENEW + _INSECURE,
    TlsCheck.NOT_YET_VALID: "Check the clocks of the origin and of this machine. "
    + _INSECURE,
    TlsCheck.HOST_MISMATCH: "Use a host name that the certificate covers, or have the"
    " origin's certificate cover {host}. " + _INSECURE,
    TlsCheck.SELF_SIGNED: "If you trust the origin, pass its certificate with"
    " --upstream-ca. " + _INSECURE,
    TlsCheck.UNKNOWN_ISSUER: _TRUST + _INSECURE,
    # Nobody can tell a private CA's leaf from a public one sent without its chain.
    TlsCheck.INCOMPLETE_CHAIN: _TRUST
    + "If the issuer is public, have the origin send its intermediate certificates. "
    + _INSECURE,
    TlsCheck.BAD_CERTIFICATE: _RENEW + _INSECURE,
    TlsCheck.NOT_TLS: "Check the port; if it is plain HTTP, use http:// instead.",
    TlsCheck.OLD_PROTOCOL: "Enable TLS 1.2 or 1.3 at the origin.",
    TlsCheck.NO_COMMON_ALPN: "Enable HTTP/1.1 or HTTP/2 at the origin.",
    TlsCheck.CLIENT_CERTIFICATE: "Client certificates are not passed on; let this host"
    " pass through unintercepted.",
    TlsCheck.UNKNOWN_NAME: "Check the host name.",
    TlsCheck.LEGACY_RENEGOTIATION: "Update the TLS software of the origin.",
    TlsCheck.HANDSHAKE_REFUSED: "Check which TLS versions and ciphers it accepts.",
    TlsCheck.TIMEOUT: "Check that the origin is up and that it speaks TLS there.",
    TlsCheck.CONNECTION_LOST: "Check that the origin speaks TLS on this port.",
}

# What the parser raises on certificates that stray from RFC 5280.
_UNREADABLE = (
    ValueError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class OriginCertificateError(ssl.SSLCertVerificationError):
    """A failed verification with the chain (DER, leaf first) that the origin sent."""

    chain: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What a person wants to know of a certificate. Texts are printable and bounded."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime.datetime
    not_after: datetime.datetime
    fingerprint_sha256: str
    is_self_issued: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFailure:
    """Why a handshake failed. `certificate` is the one that the check failed on."""

    check: TlsCheck
    detail: str
    advice: str
    certificate: CertificateFacts | None = None

    def as_error(self) -> OriginTlsError | OriginTimeout:
        """Give the error that carries this to the client's page."""
        kind: type[OriginTlsError | OriginTimeout] = OriginTlsError
        if self.check in _CERTIFICATE_CHECKS:
            kind = CertificateRejected
        elif self.check is TlsCheck.TIMEOUT:
            kind = OriginTimeout
        # In TLS 1.3 a missing client certificate is reported after our first request.
        return kind(
            f"{self.check}: {self.detail}",
            advice=self.advice,
            is_unprocessed=self.check is not TlsCheck.CLIENT_CERTIFICATE,
        )


def describe_certificate(der: bytes) -> CertificateFacts | None:
    """Read the facts of a certificate; None when it cannot be read at all."""
    try:
        # A stranger's odd certificate is no reason to warn the user of this program.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(der)
            subject = certificate.subject.rfc4514_string()
            issuer = certificate.issuer.rfc4514_string()
            names = tuple(_alternative_names(certificate))
    except _UNREADABLE:
        return None
    return CertificateFacts(
        subject=_shown(subject) or "(empty)",
        issuer=_shown(issuer) or "(empty)",
        names=names,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint_sha256=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        is_self_issued=subject == issuer,
    )


def _alternative_names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return
    for index, name in enumerate(extension.value):
        if index == MAX_SHOWN_NAMES:
            yield "..."
            return
        yield _shown(str(name.value))


def _shown(text: str) -> str:
    """Make text from a stranger safe for one line of a page or a log."""
    cut = text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "..."
    return "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cut
    )


def explain(error: OSError, host: str) -> TlsFailure:
    """Say which check of the handshake with `host` failed, on what, and what to do.

    A failed verification through `OriginContexts` brings the origin's chain along.
    """
    chain = error.chain if isinstance(error, OriginCertificateError) else ()
    facts = [fact for fact in map(describe_certificate, chain) if fact is not None]
    check = _find_check(error)
    if check is TlsCheck.UNKNOWN_ISSUER and len(facts) == 1:
        check = TlsCheck.INCOMPLETE_CHAIN
    certificate = _find_culprit(check, facts)
    return TlsFailure(
        check=check,
        detail=_fill(_DETAIL[check], error, host, certificate),
        advice=_fill(_ADVICE[check], error, host, certificate),
        certificate=certificate,
    )


def _find_check(error: OSError) -> TlsCheck:
    match error:
        case ssl.SSLCertVerificationError():
            return _BY_VERIFY_CODE.get(error.verify_code, TlsCheck.BAD_CERTIFICATE)
        case ssl.SSLError():
            reason = _reason(error)
            for part, check in _BY_REASON:
                if part in reason:
                    return check
            return TlsCheck.HANDSHAKE_REFUSED
        case TimeoutError():
            return TlsCheck.TIMEOUT
        case _:
            return TlsCheck.CONNECTION_LOST


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's reason as a name; for one that Python does not know, from the text."""
    # Absent, against its type, where Python raised the error and not OpenSSL.
    reason = getattr(error, "reason", None) or str(error)
    return re.sub(r"\W+", "_", reason).upper()


def _find_culprit(
    check: TlsCheck, facts: list[CertificateFacts]
) -> CertificateFacts | None:
    """Pick the certificate of the chain that the check failed on."""
    now = datetime.datetime.now(datetime.UTC)
    if check is TlsCheck.EXPIRED:
        bad = [fact for fact in facts if fact.not_after < now]
    elif check is TlsCheck.NOT_YET_VALID:
        bad = [fact for fact in facts if fact.not_before > now]
    elif check is TlsCheck.UNKNOWN_ISSUER:
        bad = facts[-1:]
    else:
        bad = facts[:1]
    return bad[0] if bad else None


def _fill(
    template: str, error: OSError, host: str, certificate: CertificateFacts | None
) -> str:
    facts = {"host": _shown(host), "openssl": _openssl_words(error)}
    if certificate is None:
        unknown = "unknown"
        return template.format(
            whose="a certificate that the origin sent",
            issuer=unknown,
            names=unknown,
            not_before=unknown,
            not_after=unknown,
            **facts,
        )
    return template.format(
        whose=f"the certificate of {certificate.subject}",
        issuer=certificate.issuer,
        names=", ".join(certificate.names) or "no host at all",
        not_before=f"{certificate.not_before:{_DATE}}",
        not_after=f"{certificate.not_after:{_DATE}}",
        **facts,
    )


def _openssl_words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _shown(error.verify_message)
    if isinstance(error, ssl.SSLError):
        return _shown(_reason(error).replace("_", " ").lower())
    return _shown(str(error))
