from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sidecar.commands.connecting import connection_lines, key_place
from sidecar.connect.shells import Shell

URL = "http://127.0.0.1:4343"


@pytest.mark.skipif(os.name != "posix", reason="runs a POSIX shell")
@pytest.mark.parametrize("folder", ["plain", "with space", "it's $HOME"])
def test_the_lines_can_be_pasted_into_a_shell(tmp_path: Path, folder: str) -> None:
    key_file = tmp_path / folder / "gateway_key"
    key_file.parent.mkdir()
    key_file.write_text("cgw-secret")
    exports = "\n".join(
        line for line in connection_lines(URL, key_file, shell=Shell.BASH).splitlines() if "export" in line
    )
    shown = 'echo "$OPENAI_BASE_URL $OPENAI_API_KEY $ANTHROPIC_BASE_URL $ANTHROPIC_AUTH_TOKEN"'
    ran = subprocess.run(["sh", "-c", f"{exports}\n{shown}"], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [f"{URL}/v1", "cgw-secret", URL, "cgw-secret"]


def test_the_key_itself_is_never_in_them(tmp_path: Path) -> None:
    (tmp_path / "gateway_key").write_text("cgw-secret")
    assert "cgw-secret" not in connection_lines(URL, tmp_path / "gateway_key")


def test_a_key_of_the_users_own_is_named_by_its_variable() -> None:
    assert 'export OPENAI_API_KEY="$GATEWAY_API_KEY"' in connection_lines(URL, None, shell=Shell.BASH)
    assert "$env:OPENAI_API_KEY = $env:GATEWAY_API_KEY" in connection_lines(URL, None, shell=Shell.POWERSHELL)
    assert "GATEWAY_API_KEY" in key_place(None)


def test_powershell_gets_lines_of_its_own() -> None:
    lines = connection_lines(URL, Path("C:/cgw/gateway_key"), shell=Shell.POWERSHELL)
    assert f"$env:OPENAI_BASE_URL = '{URL}/v1'" in lines
    assert "$env:ANTHROPIC_AUTH_TOKEN = (Get-Content -LiteralPath 'C:" in lines
