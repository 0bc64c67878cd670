"""How shells set a variable for the programs that they start."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Final


class Shell(StrEnum):
    """The shells that `cgw env` writes for. What bash gets is for every POSIX shell."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


@dataclass(frozen=True, slots=True)
class FileContents:
    """A value that the shell reads from a file, so that it is not shown."""

    path: PurePath


@dataclass(frozen=True, slots=True)
class OtherVariable:
    """A value that the shell takes from another variable."""

    name: str


Word = str | FileContents | OtherVariable


@dataclass(frozen=True, slots=True)
class Syntax:
    """`assign` has places for `name` and `word`, the other templates for a `word` that is quoted where it must be."""

    assign: str
    quote: Callable[[str], str]
    contents: str
    variable: str


def _quote_for_posix(text: str) -> str:
    return (
        f"'{text}'" if text.startswith("=") and shlex.quote(text) == text else shlex.quote(text)
    )  # to zsh =x is a path


def _quote_for_fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quote_for_powershell(text: str) -> str:
    # To PowerShell the typographic ones are quotes too.
    return "'" + re.sub("(['\u2018\u2019\u201a\u201b])", r"\1\1", text) + "'"


_POSIX: Final = Syntax("export {name}={word}", _quote_for_posix, '"$(cat {word})"', '"${word}"')

SYNTAX: Final[Mapping[Shell, Syntax]] = {
    Shell.BASH: _POSIX,
    Shell.ZSH: _POSIX,
    Shell.FISH: Syntax("set -gx {name} {word}", _quote_for_fish, "(cat {word})", "${word}"),
    Shell.POWERSHELL: Syntax(
        "$env:{name} = {word}", _quote_for_powershell, "(Get-Content -LiteralPath {word})", "$env:{word}"
    ),
}

NAMES: Final[Mapping[str, Shell]] = {
    "zsh": Shell.ZSH,
    "fish": Shell.FISH,
    "pwsh": Shell.POWERSHELL,
    "powershell": Shell.POWERSHELL,
}
"""Shells by the name of their program. Every other one is taken for a relative of bash."""


def assignment(shell: Shell, name: str, word: Word) -> str:
    """One line that sets `name` here and in what is started from here."""
    syntax = SYNTAX[shell]
    match word:
        case FileContents(path):
            written = syntax.contents.format(word=syntax.quote(str(path)))
        case OtherVariable(other):
            written = syntax.variable.format(word=other)
        case text:
            written = syntax.quote(text)
    return syntax.assign.format(name=name, word=written)


def detected(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Shell:
    """The user's shell; on Windows PowerShell, unless a Unix shell says that it is there."""
    program = Path(environ.get("SHELL", "").replace("\\", "/")).name.lower().removesuffix(".exe")
    if not program:
        return Shell.POWERSHELL if platform == "win32" else Shell.BASH
    return NAMES.get(program, Shell.BASH)
