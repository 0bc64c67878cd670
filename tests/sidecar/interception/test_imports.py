"""mitmproxy costs a second and takes over the event loop: it stays in its own process."""

from __future__ import annotations

import subprocess
import sys

GUARD = """
import importlib, pkgutil, sys, warnings
warnings.simplefilter("ignore")
import addons, sidecar, tui
ITS_OWN = {"sidecar.interceptor", "addons.intercept"}
for package in (sidecar, addons, tui):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        runs_on_import = found.name.endswith(".__main__") or ".migrations." in found.name
        if found.name not in ITS_OWN and not runs_on_import:
            importlib.import_module(found.name)
from typer.testing import CliRunner
from sidecar.cli import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
assert CliRunner().invoke(app, ["up", "--help"]).exit_code == 0
print([name for name in sys.modules if name.partition(".")[0].startswith("mitmproxy")])
"""


def test_nothing_but_the_interceptor_imports_mitmproxy() -> None:
    ran = subprocess.run([sys.executable, "-c", GUARD], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"
