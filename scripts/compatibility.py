"""Holds cgw against the clients that people use, and writes docs/compatibility.md.

    .venv/bin/python scripts/compatibility.py              # everything: some minutes, and the registries
    .venv/bin/python scripts/compatibility.py --only ai_sdk   # one client, printed and not written

The newest release of each client is installed from its registry into a folder of its own (CGW_COMPATIBILITY_CACHE, else
the user's cache folder), and talks to a sidecar in front of the simulated Claude: nothing is asked of a real one. The
table of scenarios comes from tests/end_to_end/test_scenarios.py as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from platformdirs import user_cache_path  # noqa: E402

from sidecar.simulator.server import RunningSimulator  # noqa: E402
from tests.support.dialects import ROADS  # noqa: E402
from tests.support.scenarios import SCENARIOS  # noqa: E402
from tests.support.sidecar import RunningSidecar  # noqa: E402

CLIENTS = ROOT / "scripts" / "clients"
PAGE = ROOT / "docs" / "compatibility.md"
CACHE = Path(os.environ.get("CGW_COMPATIBILITY_CACHE") or user_cache_path("cgw-compatibility", appauthor=False))

PYTHON: dict[str, tuple[str, list[str]]] = {
    "openai_python": ("OpenAI SDK, Python", ["openai"]),
    "anthropic_python": ("Anthropic SDK, Python", ["anthropic"]),
    "langchain_client": ("LangChain", ["langchain-openai", "langchain-anthropic"]),
    # Its package for Anthropic does not go with that SDK's 2.x, though it lets pip install it.
    "llama_index_client": ("LlamaIndex", ["llama-index-llms-openai-like", "llama-index-llms-anthropic", "anthropic<2"]),
    "pydantic_ai_client": ("Pydantic AI", ["pydantic-ai-slim[openai,anthropic]"]),
    "openai_agents": ("OpenAI Agents", ["openai-agents"]),
    "litellm_client": ("LiteLLM as a client", ["litellm", "mcp"]),
}
"""Program -> what people call it, and the packages it is made of. The first one's version is told."""
NODE: dict[str, tuple[str, list[str]]] = {
    "openai_node": ("OpenAI SDK, Node", ["openai"]),
    "anthropic_node": ("Anthropic SDK, Node", ["@anthropic-ai/sdk"]),
    "ai_sdk": (
        "Vercel AI SDK",
        ["ai", "@ai-sdk/openai", "@ai-sdk/openai-compatible", "@ai-sdk/anthropic", "zod"],
    ),
}
CHECKS = ("plain", "stream", "tool loop", "schema")
SECONDS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", metavar="CLIENT", choices=[*PYTHON, *NODE], help="one client; nothing is written")
    only = parser.parse_args().only
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in (*PYTHON, *NODE) if only in (None, name)]
    with (
        tempfile.TemporaryDirectory() as home,
        RunningSimulator() as claude,
        RunningSidecar(Path(home), claude) as gateway,
    ):
        environ = {**os.environ, "CGW_URL": gateway.url, "CGW_KEY": gateway.key, "NO_PROXY": "127.0.0.1"}
        outcomes = {name: list(_checks(name, environ)) for name in wanted}
    failed = [(name, one) for name, rows in outcomes.items() for one in rows if one["problem"]]
    for name, one in failed:
        print(f"{name}, {one['dialect']}, {one['check']}: {one['problem']}", file=sys.stderr)
    if only is None:
        PAGE.write_text(_page(outcomes, _scenarios()), encoding="utf-8")
        print(f"written: {PAGE.relative_to(ROOT)}")
    sys.exit(bool(failed))


def _checks(name: str, environ: dict[str, str]) -> Iterator[dict[str, str | None]]:
    """What one client tells of itself. A client that does not even start is one failed check."""
    if name in PYTHON:
        command = [str(_python(PYTHON[name][1])), str(CLIENTS / "python" / f"{name}.py")]
    else:
        command = ["node", str(_node(NODE[name][1]) / f"{name}.mjs")]
    print(f"{name} ...", file=sys.stderr)
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False)
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    if ran.returncode or not lines:
        lines.append({"dialect": "", "check": "plain", "problem": ran.stderr.strip()[-400:] or "it said nothing"})
    yield from lines


def _python(packages: list[str]) -> Path:
    """An environment for these packages alone: two clients may want two versions of one."""
    folder = CACHE / "python" / "-".join(sorted(re.sub(r"\W+", "_", package) for package in packages))
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--upgrade", *packages], check=True)
        (folder / "ready").touch()
    return python


def _node(packages: list[str]) -> Path:
    """The folder of the programs, with the packages beside them: that is where Node looks."""
    folder = CACHE / "node"
    folder.mkdir(exist_ok=True)
    if not all((folder / "node_modules" / package).exists() for package in packages):
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, *packages], check=True)
    for program in (CLIENTS / "node").iterdir():
        (folder / program.name).write_text(program.read_text())
    return folder


def _version(name: str) -> str:
    if name in NODE:
        package = CACHE / "node" / "node_modules" / NODE[name][1][0] / "package.json"
        return str(json.loads(package.read_text())["version"])
    first = PYTHON[name][1][0].partition("[")[0]
    code = f"from importlib.metadata import version; print(version({first!r}))"
    told = subprocess.run([_python(PYTHON[name][1]), "-c", code], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def _scenarios() -> dict[str, dict[str, bool]]:
    """Scenario -> way -> whether it passed, from a run of the tests themselves."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "tests/end_to_end/test_scenarios.py", f"--junitxml={report}"]
        subprocess.run(command, cwd=ROOT, check=False, stdout=sys.stderr)
        cases = ET.parse(report).iter("testcase")
        outcomes: dict[str, dict[str, bool]] = {}
        for case in cases:
            name, bracket, rest = (case.get("name") or "").partition("[")
            if not bracket:
                continue
            scenario, _, way = rest.removesuffix("]").rpartition("-")
            way = f"{way} through the interceptor" if "interceptor" in name else way
            outcomes.setdefault(scenario, {})[way] = all(
                case.find(kind) is None for kind in ("failure", "error", "skipped")
            )
    return outcomes


def _page(clients: dict[str, list[dict[str, str | None]]], scenarios: dict[str, dict[str, bool]]) -> str:
    dialects = list(dict.fromkeys(road.dialect for road in ROADS))
    lines = [
        "# What works with cgw",
        "",
        "Written by `scripts/compatibility.py`, which you can run too; do not edit by hand. Everything here ran against the",
        f"simulated Claude, with cgw {version('cgw')}.",
        "",
        "## Clients",
        "",
        "Each client as it is published, pointed at cgw and nothing else changed: a plain answer, a streamed one, a loop in",
        "which a tool is called and its result goes back, and, where the client has it, an answer held to a schema.",
        "",
        "| client | version | speaks | " + " | ".join(CHECKS) + " |",
        "|---|---|---|" + "---|" * len(CHECKS),
    ]
    for name, rows in clients.items():
        title = (PYTHON | NODE)[name][0]
        for dialect in dict.fromkeys(row["dialect"] for row in rows):
            told = {row["check"]: row["problem"] for row in rows if row["dialect"] == dialect}
            cells = ["" if check not in told else "no" if told[check] else "yes" for check in CHECKS]
            lines.append(f"| {title} | {_version(name)} | {dialect} | {' | '.join(cells)} |")
    problems = [(name, row) for name, rows in clients.items() for row in rows if row["problem"]]
    lines += ["", *(f"- {name}, {row['dialect']}, {row['check']}: {row['problem']}" for name, row in problems)]
    lines += [
        "",
        "Editors and agents have a page each in [docs/clients](clients/README.md); Claude Code, Codex, Cline, Continue,",
        "opencode, Kilo and aider are driven headless by `tests/end_to_end/test_real_clients.py`, where they are installed.",
        "",
        "## Scenarios",
        "",
        f"{len(SCENARIOS)} scenarios, from the table that the tests run (`tests/support/scenarios.py`). `yes`: what the client",
        "hears is what Claude said, whole and streamed. Empty: the dialect has no word for it, or Claude itself refuses it.",
        "Some are asked through the interceptor too.",
        "",
        "| scenario | " + " | ".join(dialects) + " | interceptor |",
        "|---|" + "---|" * (len(dialects) + 1),
    ]
    for scenario in SCENARIOS:
        ran = scenarios.get(scenario.name, {})
        cells = [_cell([ran[way] for way in (dialect, f"{dialect}_stream") if way in ran]) for dialect in dialects]
        cells.append(_cell([passed for way, passed in ran.items() if "interceptor" in way]))
        lines.append(f"| {scenario.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(passed: list[bool]) -> str:
    return "" if not passed else "yes" if all(passed) else "no"


if __name__ == "__main__":
    main()
