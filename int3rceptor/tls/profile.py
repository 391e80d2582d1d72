"""The CA certificate as an Apple configuration profile: a property list in XML.

Pure text. It is written here because every start needs it for the hub, and plistlib
with its XML parser weighs half a megabyte.
"""

import base64
import hashlib
import uuid

_DOCUMENT = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" \
"http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadType</key><string>Configuration</string>
	<key>PayloadVersion</key><integer>1</integer>
	<key>PayloadIdentifier</key><string>{identifier}</string>
	<key>PayloadUUID</key><string>{profile_uuid}</string>
	<key>PayloadDisplayName</key><string>{name}</string>
	<key>PayloadDescription</key><string>{description}</string>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadType</key><string>com.apple.security.root</string>
			<key>PayloadVersion</key><integer>1</integer>
			<key>PayloadIdentifier</key><string>{identifier}.root</string>
			<key>PayloadUUID</key><string>{root_uuid}</string>
			<key>PayloadDisplayName</key><string>{name}</string>
			<key>PayloadCertificateFileName</key><string>int3rceptor.cer</string>
			<key>PayloadContent</key><data>{content}</data>
		</dict>
	</array>
</dict>
</plist>
"""

_NAMESPACE = uuid.UUID("8f1e21a5-0c4e-4b0b-9a36-1f0d2a1c7e33")


def profile(certificate_der: bytes, name: str, description: str) -> bytes:
    """The profile of a certificate that is shown as `name`.

    Identifiers derive from the certificate, so installing it again replaces it.
    """
    fingerprint = hashlib.sha256(certificate_der).digest().hex(":").upper()

    def uuid_of(part: str) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{fingerprint} {part}")).upper()

    text = _DOCUMENT.format(
        identifier=f"int3rceptor.ca.{fingerprint[:11].replace(':', '')}",
        profile_uuid=uuid_of("profile"),
        root_uuid=uuid_of("root"),
        name=_escaped(name),
        description=_escaped(description),
        content=base64.b64encode(certificate_der).decode("ascii"),
    )
    return text.encode()


def _escaped(text: str) -> str:
    """As XML holds it; characters that it has no place for are left out."""
    kept = "".join(one for one in text if one.isprintable())
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
