"""The variables that tell programs of a base URL, as measured with real clients.

| variable | who reads it |
|---|---|
| `OPENAI_BASE_URL` | OpenAI's SDKs and what is built on them |
| `OPENAI_API_BASE` | aider, LiteLLM, older SDKs |
| `OPENAI_API_KEY` | all of them |
| `ANTHROPIC_BASE_URL` | Anthropic's SDKs, Claude Code, LiteLLM: without `/v1` |
| `ANTHROPIC_AUTH_TOKEN` | Claude Code, Anthropic's SDKs |
| `ANTHROPIC_API_KEY` | those that know no token (LiteLLM, aider, opencode); and the real one does not go out instead |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sidecar.connect.address import Address, Key
from sidecar.connect.shells import FileContents, OtherVariable, Word
from sidecar.interception.environment import EXCEPTION_NAMES, LOOPBACK

PROXY_NAMES: Final = ("http_proxy", "https_proxy", "all_proxy")

BASE_URL_NAMES: Final = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL")

LEFT_OUT: Final[Mapping[str, frozenset[str]]] = {"claude": frozenset({"ANTHROPIC_API_KEY"})}
"""By program. Claude Code warns of a conflict where it has a token and a key, and asks whether the key is meant."""


def base_url_environment(address: Address, environ: Mapping[str, str]) -> dict[str, Word]:
    """What to set for a program that can be told a base URL; `environ` is what it would have without."""
    key = word_of(address.key)
    rows: tuple[tuple[tuple[str, ...], Word], ...] = (
        (("OPENAI_BASE_URL", "OPENAI_API_BASE"), address.openai),
        (("OPENAI_API_KEY",), key),
        (("ANTHROPIC_BASE_URL",), address.url),
        (("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"), key),
        (EXCEPTION_NAMES if _has_proxy(environ) else (), _exceptions(environ)),
    )
    return {name: word for names, word in rows for name in names}


def word_of(key: Key) -> Word:
    """The key as a shell finds it, and itself only where it stands nowhere else."""
    if key.file is not None:
        return FileContents(key.file)
    return OtherVariable(key.variable) if key.variable else key.value


def read_words(words: Mapping[str, Word], key: Key) -> dict[str, str]:
    """The values themselves, for a program that is started here: whatever is not text is the key."""
    return {name: word if isinstance(word, str) else key.value for name, word in words.items()}


def _has_proxy(environ: Mapping[str, str]) -> bool:
    """Whether requests to this machine could go to a proxy that the user has."""
    return any(name.lower() in PROXY_NAMES and value for name, value in environ.items())


def _exceptions(environ: Mapping[str, str]) -> str:
    """The user's own exceptions and this machine."""
    theirs = next((environ[name] for name in EXCEPTION_NAMES if environ.get(name)), "")
    known = [part.strip() for part in theirs.split(",") if part.strip()]
    return ",".join((*known, *(name for name in LOOPBACK if name not in known)))
