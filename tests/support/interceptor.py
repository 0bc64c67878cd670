"""An interceptor in front of a sidecar, and a host with TLS of its own that stands for the rest of the world."""

from __future__ import annotations

import asyncio
import datetime
import http.server
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sidecar.config import Settings
from sidecar.home import Home
from sidecar.interception.authority import Authority, authority_of
from sidecar.interception.environment import proxy_environment
from sidecar.interception.interceptor import Interceptor
from tests.support.ports import free_port
from tests.support.sidecar import RunningSidecar

START_SECONDS = 120.0


class RunningInterceptor:
    """The real child process, kept running by a loop in a thread of its own."""

    def __init__(self, gateway: RunningSidecar, **settings: Any) -> None:
        self.home: Home = gateway.home
        self._interceptor = Interceptor(
            Settings(intercept_port=free_port(), **settings), self.home, key=gateway.key, sidecar_url=gateway.url
        )
        self.url = self._interceptor.url
        self.port = self._interceptor.port
        self._ending = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._keep()), name="interceptor")

    @property
    def authority(self) -> Authority:
        return authority_of(self.home)

    @property
    def environment(self) -> dict[str, str]:
        """What leads a program through it, but for the loopback: its own hosts are there."""
        return proxy_environment(self.url, self.authority.bundle) | {"NO_PROXY": "", "no_proxy": ""}

    def health(self) -> Any:
        return self._interceptor.health()

    def stop(self) -> None:
        """Asks it to end, and does not wait."""
        self._tell(self._interceptor.stop)

    def wait_for(self, state: str) -> Any:
        """What it tells of itself, once it is in this state."""
        deadline = time.monotonic() + START_SECONDS
        while (told := self.health())["state"] != state:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not {state}: {told}")
            time.sleep(0.02)
        return told

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tell(self._ending.set)
        self._thread.join()

    def _tell(self, what: Callable[[], None]) -> None:
        assert self._loop is not None, "it was not started"
        self._loop.call_soon_threadsafe(what)

    async def _keep(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._up.set()
        async with self._interceptor.running():
            await self._ending.wait()


@dataclass
class Heard:
    """A request as the other host got it."""

    method: str
    path: str
    headers: dict[str, str]
    begun: threading.Event = field(default_factory=threading.Event)
    """Set with the first byte of its body."""
    body: bytes = b""


class OtherHost:
    """An HTTPS server on loopback with a certificate that its own `trusted` file vouches for; answers with 200."""

    def __init__(self, folder: Path) -> None:
        self.trusted = folder / "other-host.pem"
        self.heard: list[Heard] = []
        arrived = threading.Condition()
        self._arrived = arrived
        heard = self.heard

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                told = Heard(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
                with arrived:
                    heard.append(told)
                    arrived.notify_all()
                for _ in range(int(self.headers.get("content-length", "0"))):
                    told.body += self.rfile.read(1)
                    told.begun.set()
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = self._tls(folder).wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="other host", daemon=True)

    def _tls(self, folder: Path) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the other host")])
        now = datetime.datetime.now(datetime.UTC)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, SHA256())
        )
        self.certificate = certificate.public_bytes(Encoding.DER)
        self.trusted.write_bytes(certificate.public_bytes(Encoding.PEM))
        keys = folder / "other-host-key.pem"
        keys.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.trusted, keys)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def wait(self) -> Heard:
        """The newest request, once there is one."""
        with self._arrived:
            self._arrived.wait_for(lambda: bool(self.heard), START_SECONDS)
            return self.heard[-1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
