"""Other gateways, where they are installed beside this: `litellm` (the proxy) and Portkey's `gateway` on the PATH."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from servers import Server, running_silent

LITELLM = """
model_list:
  - model_name: claude-sonnet-5-5
    litellm_params: {{model: anthropic/claude-sonnet-5-5, api_key: sk-ant-of-the-benchmark, api_base: "{claude}"}}
litellm_settings: {{telemetry: false, drop_params: true}}
general_settings: {{master_key: sk-of-the-benchmark}}
"""


def installed_peers(claude_url: str, core: int) -> Iterator[AbstractContextManager[Server]]:
    if command := shutil.which("litellm"):
        yield litellm(command, claude_url, core)
    if command := shutil.which("portkey-gateway"):
        yield portkey(command, claude_url, core)


@contextmanager
def litellm(command: str, claude_url: str, core: int) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(LITELLM.format(claude=claude_url))
        port = _free_port()
        arguments = [command, "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        with running_silent("litellm", arguments, core, port) as server:
            headers = {"authorization": "Bearer sk-of-the-benchmark"}
            yield Server("litellm", server.url, server.pid, native=None, headers=headers, ready=server.ready)


@contextmanager
def portkey(command: str, claude_url: str, core: int) -> Iterator[Server]:
    port = _free_port()
    with running_silent("portkey", [command, f"--port={port}", "--headless"], core, port) as server:
        headers = {
            "x-portkey-provider": "anthropic",
            "x-portkey-custom-host": f"{claude_url}/v1",
            "authorization": "Bearer sk-ant-of-the-benchmark",
        }
        yield Server("portkey", server.url, server.pid, native=None, headers=headers, ready=server.ready)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
