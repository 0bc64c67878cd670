"""How to point a tool at a running sidecar: lines to paste, without the key itself in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.connect.shells import FileContents, OtherVariable, Shell, Word, assignment, detected
from sidecar.home import Home

if TYPE_CHECKING:
    from sidecar.config import Settings

MODELS = "Models: sonnet, opus, haiku, fable, auto, or any Claude id."


def connection_lines(url: str, key_file: Path | None, *, shell: Shell | None = None) -> str:
    """Environment lines for both kinds of tools; `key_file` is None where the user set GATEWAY_API_KEY.

    Written for the user's shell where none is given.
    """
    shell = shell or detected()
    key: Word = OtherVariable("GATEWAY_API_KEY") if key_file is None else FileContents(key_file)
    openai: dict[str, Word] = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": key}
    anthropic: dict[str, Word] = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": key}
    return "\n".join(
        (
            "OpenAI tools (SDKs, aider, Continue, Cline, ...):",
            *(f"  {assignment(shell, name, word)}" for name, word in openai.items()),
            "Anthropic tools (SDKs, Claude Code, ...):",
            *(f"  {assignment(shell, name, word)}" for name, word in anthropic.items()),
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
