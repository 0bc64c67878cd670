"""The authority: private, made once, good for nothing but the named hosts."""

from __future__ import annotations

import contextlib
import ssl
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from sidecar.home import Home
from sidecar.interception import authority as module
from sidecar.interception.authority import PEM_BLOCK, Authority, authority_of, ensure, fingerprint

HOSTS = ("api.openai.com", "api.anthropic.com")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def signed(authority: Authority, folder: Path, name: x509.GeneralName) -> ssl.SSLContext:
    """A server with a certificate for `name` from this authority, as a thief of its key could make one."""
    content = authority.key_file.read_bytes()
    issuer, issuer_key = x509.load_pem_x509_certificate(content), load_pem_private_key(content, None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "a thief")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(issuer_key, SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def shake_hands(server: ssl.SSLContext, trusted: Path, host: str) -> None:
    """Raises SSLCertVerificationError where a client that trusts the authority would refuse."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = ssl.create_default_context(cafile=str(trusted)).wrap_bio(back, there, server_hostname=host)
    server_side = server.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (client_side, server_side):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    client_side.do_handshake()


@pytest.mark.parametrize("host", HOSTS)
def test_a_client_that_trusts_it_takes_its_word_for_the_hosts(home: Home, tmp_path: Path, host: str) -> None:
    made = ensure(home, HOSTS)
    shake_hands(signed(made, tmp_path, x509.DNSName(host)), made.certificate, host)
    shake_hands(signed(made, tmp_path, x509.DNSName(host)), made.bundle, host)


@pytest.mark.parametrize("host", ["example.com", "openai.com", "api.openai.com.example.com", "127.0.0.1", "::1"])
def test_and_for_nothing_else(home: Home, tmp_path: Path, host: str) -> None:
    made = ensure(home, HOSTS)
    is_address = ":" in host or host[0].isdigit()
    name = x509.IPAddress(ip_address(host)) if is_address else x509.DNSName(host)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"subtree"):
        shake_hands(signed(made, tmp_path, name), made.certificate, host)


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_its_files_are_its_owners_alone(home: Home) -> None:
    made = ensure(home, HOSTS)
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in made.folder.iterdir()} == {0o600}


def test_the_private_key_is_in_one_file_only(home: Home) -> None:
    made = ensure(home, HOSTS)
    with_key = [file for file in made.folder.iterdir() if b"PRIVATE KEY" in file.read_bytes()]
    assert with_key == [made.key_file]


def test_it_is_made_once(home: Home) -> None:
    first = ensure(home, HOSTS).key_file.read_bytes()
    assert ensure(home, tuple(reversed(HOSTS))).key_file.read_bytes() == first
    assert ensure(home, (HOSTS[0] + "/v1", *HOSTS)).key_file.read_bytes() == first


def test_two_at_one_time_make_one(home: Home) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: ensure(home, HOSTS), range(4)))
    assert made[0].certificate.read_bytes() in made[0].key_file.read_bytes()


@pytest.mark.parametrize("hosts", [("api.openai.com",), (*HOSTS, "openrouter.ai/api")])
def test_other_hosts_need_another_one(home: Home, hosts: tuple[str, ...]) -> None:
    before = ensure(home, HOSTS).certificate.read_bytes()
    after = ensure(home, hosts)
    assert after.certificate.read_bytes() != before
    assert before.strip() not in after.bundle.read_bytes()


def test_one_that_ends_soon_is_made_anew(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIFETIME", module.RENEWED_BEFORE - timedelta(days=1))
    before = ensure(home, HOSTS).certificate.read_bytes()
    monkeypatch.undo()
    assert ensure(home, HOSTS).certificate.read_bytes() != before


@pytest.mark.parametrize("content", [b"", b"torn", b"-----BEGIN CERTIFICATE-----\ntorn\n-----END CERTIFICATE-----\n"])
def test_a_file_that_is_none_is_replaced(home: Home, content: bytes) -> None:
    made = ensure(home, HOSTS)
    made.key_file.write_bytes(content)
    ensure(home, HOSTS)
    assert b"PRIVATE KEY" in made.key_file.read_bytes()
    assert made.certificate.read_bytes() in made.key_file.read_bytes()


def test_the_bundle_has_the_public_authorities_the_users_own_and_ours(home: Home, tmp_path: Path) -> None:
    company = ensure(Home(tmp_path / "company"), ("intranet.example",)).certificate
    made = ensure(home, HOSTS, {"SSL_CERT_FILE": str(company)})
    blocks = PEM_BLOCK.findall(made.bundle.read_bytes())
    assert len(blocks) > 100
    assert len(blocks) == len(set(blocks))
    assert company.read_bytes().strip() in blocks
    assert blocks[-1] == made.certificate.read_bytes().strip()
    assert ssl.create_default_context(cafile=str(made.bundle)).cert_store_stats()["x509"] == len(blocks)


def test_a_bundle_of_ours_is_never_built_upon(home: Home) -> None:
    """Where cgw is started by a program that came through the interceptor itself."""
    made = ensure(home, HOSTS)
    before = len(PEM_BLOCK.findall(made.bundle.read_bytes()))
    ensure(home, ("api.openai.com",), {"SSL_CERT_FILE": str(made.bundle)})
    assert len(PEM_BLOCK.findall(made.bundle.read_bytes())) == before


def test_a_variable_that_names_no_file_does_no_harm(home: Home, tmp_path: Path) -> None:
    assert ensure(home, HOSTS, {"SSL_CERT_FILE": str(tmp_path / "gone.pem")}).bundle.exists()


def test_its_fingerprint_is_the_one_that_systems_show(home: Home) -> None:
    certificate = ensure(home, HOSTS).certificate
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert bytes.fromhex(fingerprint(certificate)) == loaded.fingerprint(SHA1())


def test_asking_where_it_is_makes_none(home: Home) -> None:
    assert not authority_of(home).folder.exists()
