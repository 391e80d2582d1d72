"""The proxy's own site: http://int3rceptor.local/ through it, or its port visited.

It hands out the CA certificate and says how to trust it. It never hands out the key.
"""

from collections.abc import Callable
from dataclasses import dataclass

from int3rceptor.model.flow import host_of
from int3rceptor.model.message import Request, Response
from int3rceptor.proxy.pages import document, download

OWN_HOST = "int3rceptor.local"

OWN_NAMES = (OWN_HOST, f"{OWN_HOST}.")
"""How clients ask for it: the dot of DNS's root makes no other name of it."""

_STEPS = r"""
<p>To see HTTPS traffic, a client must trust this proxy's certificate authority
(<code>{fingerprint}</code>, SHA-256). Trust it only on machines and in profiles that
you test with: whoever holds its key can read their traffic.</p>
<p><a href="http://{host}/ca.pem">ca.pem</a> (PEM),
<a href="http://{host}/ca.cer">ca.cer</a> (DER, Windows and Android),
<a href="http://{host}/ca.mobileconfig">ca.mobileconfig</a> (iOS and macOS profile)</p>
<h2>curl, Python, Node.js</h2>
<pre>curl --proxy http://{listen} --cacert ca.pem https://example.com/
export SSL_CERT_FILE=$PWD/ca.pem REQUESTS_CA_BUNDLE=$PWD/ca.pem
export NODE_EXTRA_CA_CERTS=$PWD/ca.pem</pre>
<h2>Debian, Ubuntu</h2>
<pre>sudo cp ca.pem /usr/local/share/ca-certificates/int3rceptor.crt
sudo update-ca-certificates</pre>
<h2>Fedora, Arch</h2><pre>sudo trust anchor ca.pem</pre>
<h2>Chrome on Linux</h2>
<pre>certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n int3rceptor -i ca.pem</pre>
<h2>Firefox</h2>
<p>Settings, Privacy &amp; Security, View Certificates, Authorities, Import: ca.pem,
&ldquo;Trust this CA to identify websites&rdquo;.</p>
<h2>macOS</h2>
<pre>sudo security add-trusted-cert -d \
  -k /Library/Keychains/System.keychain ca.pem</pre>
<h2>Windows</h2><pre>certutil -addstore root ca.cer</pre>
<h2>iOS</h2>
<p>Open ca.mobileconfig in Safari, install it under Settings, General, VPN &amp; Device
Management, then switch it on under General, About, Certificate Trust Settings.</p>
<h2>Android</h2>
<p>Settings, Security, Encryption &amp; credentials, Install a certificate, CA
certificate: ca.cer. Apps trust it only if they allow user certificates.</p>
"""


@dataclass(slots=True, frozen=True, kw_only=True)
class CaFiles:
    """The forms of the CA certificate that clients can be given."""

    pem: bytes
    der: bytes
    mobileconfig: Callable[[], bytes]
    fingerprint: str


class Onboarding:
    """Answers for the proxy itself. `listen` is set once the real port is known."""

    def __init__(self, files: CaFiles) -> None:
        self._files = files
        self.listen = "127.0.0.1:8080"

    def answer(self, request: Request) -> Response:
        """The page or file for a path of the proxy's own site."""
        match request.path.partition("?")[0]:
            case "/ca.pem":
                return download(
                    self._files.pem, "application/x-pem-file", "int3rceptor-ca.pem"
                )
            case "/ca.cer":
                return download(
                    self._files.der, "application/x-x509-ca-cert", "int3rceptor-ca.cer"
                )
            case "/ca.mobileconfig":
                return download(
                    self._files.mobileconfig(),
                    "application/x-apple-aspen-config",
                    "int3rceptor-ca.mobileconfig",
                )
            case "/":
                return self._page(request, 200)
            case _:
                return self._page(request, 404)

    def _page(self, request: Request, status: int) -> Response:
        steps = _STEPS.format(
            fingerprint=self._files.fingerprint, host=OWN_HOST, listen=self.listen
        )
        if host_of(request.authority) == OWN_HOST:
            return document(status, "INT3RCEPTOR: trust this proxy", steps)
        # Visited as if it were a web server: links must work without the proxy.
        steps = steps.replace(f"http://{OWN_HOST}/", "/")
        return document(
            status,
            "This is a proxy, not a web server",
            f"<p>Set <code>http://{self.listen}</code> as the HTTP and HTTPS proxy of "
            f"your client, and ask it for the page that you want.</p>{steps}",
        )
