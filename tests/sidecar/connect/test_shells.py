"""What is written for a shell is read by that shell as it was meant. Shells that are not installed are skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.connect.shells import FileContents, OtherVariable, Shell, Word, assignment, detected

PROGRAMS = {
    Shell.BASH: ("bash", "dash", "sh"),
    Shell.ZSH: ("zsh",),
    Shell.FISH: ("fish",),
    Shell.POWERSHELL: ("pwsh",),
}
INSTALLED = [(shell, found) for shell, names in PROGRAMS.items() for name in names if (found := shutil.which(name))]
PRINTED = dict.fromkeys(Shell, 'printf %s "$CGW_TRY"') | {Shell.POWERSHELL: "[Console]::Write($env:CGW_TRY)"}

AWKWARD = [
    "plain",
    "with space",
    'it\'s "quoted"',
    "$HOME `id` $(id) !1 %PATH%",
    "back\\slash\\'",
    "\u2018typographic\u2019",
    "*?[a]{b,c}~",
    "a;b&c|d<e>f#g",
    "two\nlines",
    "-n",
    "=cat",
]

each_shell = pytest.mark.parametrize(("shell", "program"), INSTALLED, ids=lambda value: Path(value).name)


def said(shell: Shell, program: str, word: Word, **environ: str) -> str:
    """What a program that this shell starts would find in the variable."""
    script = f"{assignment(shell, 'CGW_TRY', word)}\n{PRINTED[shell]}\n"
    flag = "-Command" if shell is Shell.POWERSHELL else "-c"
    ran = subprocess.run([program, flag, script], capture_output=True, check=True, env=os.environ | environ)
    assert not ran.stderr
    return ran.stdout.decode()


@each_shell
@pytest.mark.parametrize("value", AWKWARD)
def test_the_shell_reads_what_was_meant(shell: Shell, program: str, value: str) -> None:
    assert said(shell, program, value) == value


@each_shell
@pytest.mark.parametrize("folder", ["plain", "it's $HOME", "two  spaces"])
def test_the_shell_reads_the_file(shell: Shell, program: str, folder: str, tmp_path: Path) -> None:
    file = tmp_path / folder / "key"
    file.parent.mkdir()
    file.write_text("cgw-secret")
    assert said(shell, program, FileContents(file)) == "cgw-secret"


@each_shell
def test_the_shell_takes_it_from_another_variable(shell: Shell, program: str) -> None:
    assert said(shell, program, OtherVariable("CGW_OTHER"), CGW_OTHER="a 'b' $c") == "a 'b' $c"


@pytest.mark.skipif(not shutil.which("sh"), reason="runs sh")
@given(st.text(st.characters(exclude_characters="\0", codec="utf-8", exclude_categories=("Cs",))))
@settings(max_examples=20)
def test_a_posix_shell_reads_whatever_text_there_is(value: str) -> None:
    assert said(Shell.BASH, "sh", value) == value


def test_powershells_quotes_are_doubled_the_typographic_ones_too() -> None:
    assert assignment(Shell.POWERSHELL, "A", "it's \u2018so\u2019") == "$env:A = 'it''s \u2018\u2018so\u2019\u2019'"


@pytest.mark.parametrize(
    ("program", "shell"),
    [
        ("/bin/bash", Shell.BASH),
        ("/usr/bin/zsh", Shell.ZSH),
        ("/opt/homebrew/bin/fish", Shell.FISH),
        ("/usr/bin/pwsh", Shell.POWERSHELL),
        ("C:\\Program Files\\Git\\usr\\bin\\bash.exe", Shell.BASH),
        ("/bin/ksh", Shell.BASH),
    ],
)
def test_the_shell_is_known_by_its_program(program: str, shell: Shell) -> None:
    assert detected({"SHELL": program}, "linux") is shell
    assert detected({"SHELL": program}, "win32") is shell


def test_without_a_program_the_system_decides() -> None:
    assert detected({}, "win32") is Shell.POWERSHELL
    assert detected({}, "darwin") is Shell.BASH


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no shell of Unix")
def test_there_is_a_shell_to_try() -> None:
    assert INSTALLED
