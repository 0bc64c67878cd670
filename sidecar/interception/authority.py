"""The certificate authority of the interceptor: made on this machine, for this user, and good for the named hosts only.

Its *name constraints* are why it can be trusted lightly: clients refuse whatever else it signs, and so a stolen key can
pass for the intercepted hosts and for nothing more.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar.commands.file_lock import FileLock
from sidecar.home import FOLDER_MODE, Home, HomeError, explained, replace_privately

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography import x509

LIFETIME: Final = timedelta(days=5 * 365)
RENEWED_BEFORE: Final = timedelta(days=60)
"""So long before its end an authority is made anew."""

BACKDATED: Final = timedelta(days=2)
"""For clocks that are behind."""

LOCK_ATTEMPTS: Final = 200

ADDRESSES: Final = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
"""Excluded: names that are permitted say nothing of addresses."""

SYSTEM_BUNDLES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where systems keep what they trust in one file: a company's own authority among it."""

BUNDLE_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
PEM_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Authority:
    """Files in a folder that only its owner may enter."""

    folder: Path
    """mitmproxy's `confdir`: it finds the key there under the name that it looks for."""

    @property
    def key_file(self) -> Path:
        """Private key and certificate."""
        return self.folder / "mitmproxy-ca.pem"

    @property
    def certificate(self) -> Path:
        """The certificate alone, for whoever adds it to what they trust."""
        return self.folder / "cgw-ca.pem"

    @property
    def bundle(self) -> Path:
        """The public authorities and ours, for whoever replaces what they trust."""
        return self.folder / "ca-bundle.pem"


def authority_of(home: Home) -> Authority:
    """Where it is, made or not."""
    return Authority(home.path / "ca")


def ensure(home: Home, hosts: Sequence[str], environ: Mapping[str, str] = os.environ) -> Authority:
    """The authority for these hosts (`INTERCEPT_HOSTS`): the one that is there if it fits, else a new one.

    A new one must be trusted anew. Raises HomeError.
    """
    authority = authority_of(home)
    home.open()
    with explained(authority.folder):
        authority.folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        authority.folder.chmod(FOLDER_MODE)
        with _alone(authority.folder / "lock"):
            certificate = _usable(authority.key_file, hosts)
            if certificate is None:
                key, certificate = _made(_names(hosts))
                replace_privately(authority.key_file, key + certificate)
            _write(authority.certificate, certificate)
            _write(authority.bundle, b"\n".join((*_public(authority.bundle, environ), certificate)))
    return authority


def fingerprint(certificate: Path) -> str:
    """Its SHA-1 in hexadecimal, by which macOS and Windows name a certificate. Raises OSError."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA1

    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    return loaded.fingerprint(SHA1()).hex().upper()  # noqa: S303  # a name, and not ours to choose


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two commands at one time must not each make an authority."""
    lock = FileLock(path)
    if not lock.acquire(attempts=LOCK_ATTEMPTS):
        raise HomeError(f"Another cgw holds {path}: try again in a moment.")
    try:
        yield
    finally:
        lock.release()


def _write(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        replace_privately(path, content)


def _usable(key_file: Path, hosts: Sequence[str]) -> bytes | None:
    """The certificate beside the key, if it is for just these hosts and not about to end."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    try:
        content = key_file.read_bytes()
        certificate = x509.load_pem_x509_certificate(content)
        load_pem_private_key(content, None)
    except (FileNotFoundError, ValueError):
        return None
    ends = certificate.not_valid_after_utc
    fits = is_for(certificate, hosts) and ends - datetime.now(UTC) > RENEWED_BEFORE
    return certificate.public_bytes(Encoding.PEM) if fits else None


def is_for(certificate: x509.Certificate, hosts: Sequence[str]) -> bool:
    """Whether it may sign for these hosts (`INTERCEPT_HOSTS`) and for no others."""
    from cryptography import x509

    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return False
    return sorted(name.value for name in constraints.permitted_subtrees or ()) == _names(hosts)


def _names(hosts: Sequence[str]) -> list[str]:
    return sorted({host.partition("/")[0] for host in hosts})


def trusted_by_the_system(certificate: x509.Certificate) -> bool | None:
    """None where the system keeps what it trusts in a place that cannot be looked into: macOS."""
    from cryptography.hazmat.primitives.serialization import Encoding

    if sys.platform == "darwin":
        return None
    if sys.platform == "win32":
        wanted = certificate.public_bytes(Encoding.DER)
        return any(encoded == wanted for encoded, _, _ in ssl.enum_certificates("ROOT"))
    wanted = certificate.public_bytes(Encoding.PEM).strip()
    files = (ssl.get_default_verify_paths().openssl_cafile, *SYSTEM_BUNDLES)
    return any(wanted in _blocks(Path(file)) for file in files if Path(file).is_file())


def _made(names: Sequence[str]) -> tuple[bytes, bytes]:
    """A private key and its certificate, both PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    number = x509.random_serial_number()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "cgw"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"cgw local authority {number & 0xFFFFFF:06x}"),
        ]
    )
    now = datetime.now(UTC)
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_signs_certificates(), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (
            x509.NameConstraints(
                permitted_subtrees=[x509.DNSName(name) for name in names],
                excluded_subtrees=[x509.IPAddress(network) for network in ADDRESSES],
            ),
            True,
        ),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    )
    builder = (
        x509.CertificateBuilder()
        .serial_number(number)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    certificate = builder.sign(key, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, certificate.public_bytes(Encoding.PEM)


def _signs_certificates() -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _public(own: Path, environ: Mapping[str, str]) -> list[bytes]:
    """What programs here trust otherwise: Mozilla's list, and what the user or the system added to it."""
    import certifi

    named = (environ.get(name, "") for name in BUNDLE_VARIABLES)
    default = ssl.get_default_verify_paths().openssl_cafile
    files = (certifi.where(), *named, default, *SYSTEM_BUNDLES)
    blocks: dict[bytes, None] = {}
    for file in map(Path, filter(None, files)):
        if file.is_file() and file.resolve() != own.resolve():
            blocks |= dict.fromkeys(_blocks(file))
    return list(blocks)


def _blocks(file: Path) -> list[bytes]:
    """Its certificates, each as cgw writes one."""
    return [b"\n".join(block.splitlines()) for block in PEM_BLOCK.findall(file.read_bytes())]
