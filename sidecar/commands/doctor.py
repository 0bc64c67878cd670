"""`cgw doctor`: what is wrong, what to do, and the small things that it can do itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sidecar.commands.running import find, health
from sidecar.commands.terminal import console, on_a_terminal, one_sentence, say
from sidecar.home import Home

if TYPE_CHECKING:
    from anthropic import AnthropicError

    from sidecar.config import Settings
    from sidecar.doctor.finding import Finding
    from sidecar.doctor.scene import Tried
    from sidecar.ledger.database import Database

SIGNS = {"problem": ("x", "red"), "warning": ("!", "yellow"), "note": ("-", "blue"), "ok": ("ok", "green")}
QUESTION = "Ask Anthropic whether it takes your key? One request for its list of models; it costs nothing."


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.", metavar="")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without asking.", metavar="")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Try the key at Anthropic without asking.", metavar="")] = False,
) -> None:
    """Look for what is wrong: exit code 0 for nothing, 1 for a warning, 2 for a problem."""
    with one_sentence():
        from sidecar.doctor.examination import examine
        from sidecar.doctor.finding import SEVERITIES, exit_code
        from sidecar.doctor.scene import Scene

        home = Home.locate()
        settings, warnings = _settings(home)
        ledger = _Ledger(home, settings) if home.ledger_file.exists() or settings.database_url else None
        scene = Scene(home, settings, os.environ, _running(home), ledger, warnings)
        if settings.anthropic_api_key and (yes or (on_a_terminal() and not as_json and typer.confirm(QUESTION))):
            import asyncio

            scene = replace(scene, accepted=lambda: asyncio.run(_try_key(settings)))
        if as_json:
            findings = list(examine(scene))
        else:
            with console().status("Looking"):
                findings = list(examine(scene))
        mended = _mend(findings) if fix else {}
        findings = [finding for finding in findings if mended.get(finding) is not True]
        if as_json:
            told = {"findings": [finding.as_json() for finding in findings]}
            done = [finding.said for finding, well in mended.items() if well is True]
            typer.echo(json.dumps({**told, "mended": done, "exit_code": exit_code(findings)}))
        else:
            for finding in sorted(findings, key=lambda one: SEVERITIES.index(one.severity)):
                _show(finding)
            for finding, well in mended.items():
                say(f"Mended: {finding.said}" if well is True else f"Could not be mended: {finding.said} ({well})")
            _sum_up(findings)
        raise typer.Exit(exit_code(findings))


def _settings(home: Home) -> tuple[Settings, tuple[str, ...]]:
    from sidecar.config_sources import load_settings

    loaded = load_settings(home)
    return loaded.settings, loaded.warnings


def _running(home: Home) -> Any:
    from sidecar.doctor.scene import Running

    if (running := find(home)) is None:
        return None
    started = datetime.fromisoformat(running.started).timestamp()
    return Running(running.url, running.version, started, health(running.url))


class _Ledger:
    """Opened by the first check that needs it."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home = home
        self._url = settings.database_url
        self._opened: Database | None = None

    def __call__(self) -> Database:
        from sidecar.ledger.database import Database

        if self._opened is None:
            self._home.open()
            self._opened = Database.open(self._url.get_secret_value() if self._url else None, self._home.path)
        return self._opened


async def _try_key(settings: Settings) -> Tried:
    """The one free call."""
    from anthropic import AnthropicError, APIStatusError, AuthenticationError, PermissionDeniedError

    from sidecar.credentials import sdk_client
    from sidecar.doctor.scene import Tried

    assert settings.anthropic_api_key is not None
    key = settings.anthropic_api_key.get_secret_value()
    client = sdk_client(key, settings.anthropic_base_url, proxy=settings.upstream_proxy)
    try:
        answer = await client.models.with_raw_response.list(limit=1)
        return Tried(date=_date(answer.headers))
    except (AuthenticationError, PermissionDeniedError) as error:
        return Tried(refused=_sentence(error), date=_date(error.response.headers))
    except APIStatusError as error:
        return Tried(unknown=_sentence(error), date=_date(error.response.headers))
    except AnthropicError as error:
        return Tried(unknown=f"{settings.anthropic_base_url} cannot be reached ({_sentence(error)})")
    finally:
        await client.close()


def _date(headers: Mapping[str, str]) -> float | None:
    date = headers.get("date")
    return parsedate_to_datetime(date).timestamp() if date else None


def _sentence(error: AnthropicError) -> str:
    """Anthropic's own, where there is one."""
    body = getattr(error, "body", None)
    told = body.get("error") if isinstance(body, dict) else None
    said = told.get("message") if isinstance(told, dict) else None
    return " ".join(str(said or error).split())[:200].rstrip(".")


def _mend(findings: Iterable[Finding]) -> dict[Finding, bool | str]:
    """Whether each that can be mended was, or why not."""
    done: dict[Finding, bool | str] = {}
    for finding in findings:
        if finding.mend is None:
            continue
        try:
            finding.mend()
        except OSError as error:
            done[finding] = error.strerror or str(error)
        else:
            done[finding] = True
    return done


def _show(finding: Finding) -> None:
    sign, colour = SIGNS[finding.severity]
    from rich.text import Text

    line = Text()
    line.append(f"{sign:<3}", style=f"bold {colour}")
    line.append(f"{finding.check:<12} ", style="bold")
    line.append(finding.said)
    if finding.fix:
        line.append(f"\n{'':<16}-> {finding.fix}", style=colour)
    console().print(line, soft_wrap=True)


def _sum_up(findings: list[Finding]) -> None:
    counts = {name: sum(finding.severity == name for finding in findings) for name in ("problem", "warning")}
    if not any(counts.values()):
        say("Nothing is wrong.")
        return
    parts = [f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items() if count]
    say(f"{' and '.join(parts)}; each says what to do.")
