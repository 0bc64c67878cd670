"""How to point a tool at a running sidecar: lines to paste, without the key itself in them."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.home import Home

if TYPE_CHECKING:
    from sidecar.config import Settings

MODELS = "Models: sonnet, opus, haiku, fable, auto, or any Claude id."


def connection_lines(url: str, key_file: Path | None, *, shell: str = os.name) -> str:
    """Environment lines for both kinds of tools; `key_file` is None where the user set GATEWAY_API_KEY.

    `shell` is `nt` for PowerShell, else POSIX.
    """
    openai = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": None}
    anthropic = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": None}
    assign = _powershell if shell == "nt" else _posix
    return "\n".join(
        (
            "OpenAI tools (SDKs, aider, Continue, Cline, ...):",
            *(f"  {assign(name, value, key_file)}" for name, value in openai.items()),
            "Anthropic tools (SDKs, Claude Code, ...):",
            *(f"  {assign(name, value, key_file)}" for name, value in anthropic.items()),
            MODELS,
        )
    )


def key_file(home: Home, settings: Settings) -> Path | None:
    """Where the gateway key is; None where the user set GATEWAY_API_KEY."""
    return None if settings.gateway_api_key else home.gateway_key_file


def owners_key(home: Home, settings: Settings) -> str:
    """What opens the admin routes of this user's sidecar. Raises HomeError."""
    secret = settings.admin_api_key or settings.gateway_api_key
    return secret.get_secret_value() if secret else home.gateway_key()


def key_place(key_file: Path | None) -> str:
    """Where the gateway key is, in words."""
    return "the value of GATEWAY_API_KEY" if key_file is None else str(key_file)


def _posix(name: str, value: str | None, key_file: Path | None) -> str:
    if value is None:
        value = '"$GATEWAY_API_KEY"' if key_file is None else f'"$(cat {shlex.quote(str(key_file))})"'
    return f"export {name}={value}"


def _powershell(name: str, value: str | None, key_file: Path | None) -> str:
    if value is None:
        return f"$env:{name} = " + ("$env:GATEWAY_API_KEY" if key_file is None else f"Get-Content '{key_file}'")
    return f"$env:{name} = '{value}'"
