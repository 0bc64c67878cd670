"""The judge shares nothing with the judged."""

import ast
from pathlib import Path

import sidecar.simulator

FOLDER = Path(sidecar.simulator.__file__).parent
FIRST_PARTY = {"sidecar", "addons", "tui"}


def imported_modules(source: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.name}: relative imports hide where code comes from"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_simulator_imports_nothing_of_the_gateway_it_judges() -> None:
    sources = sorted(FOLDER.rglob("*.py"))
    assert len(sources) > 10
    for source in sources:
        ours = {name for name in imported_modules(source) if name.split(".")[0] in FIRST_PARTY}
        assert {name for name in ours if not name.startswith("sidecar.simulator")} == set(), source.name


def test_the_simulator_takes_no_prices_or_types_from_the_packages_the_gateway_uses() -> None:
    borrowed = {"genai_prices", "anthropic", "tiktoken", "openai"}
    for source in FOLDER.rglob("*.py"):
        assert {name.split(".")[0] for name in imported_modules(source)} & borrowed == set(), source.name
