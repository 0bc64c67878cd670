"""Each check both ways: as it should be, and as it should not."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from sidecar import __version__
from sidecar.commands.running import announce, claimed
from sidecar.config import Settings
from sidecar.doctor import editors, gateway, interception, machine, use
from sidecar.doctor.examination import CHECKS, Check, examine
from sidecar.doctor.finding import Finding, exit_code
from sidecar.doctor.scene import Running, Scene, Tried
from sidecar.home import Home
from sidecar.interception import authority as authority_module
from sidecar.interception.authority import ensure
from sidecar.interception.interceptor import State
from sidecar.ledger.database import Database
from sidecar.projects.project import Project
from sidecar.projects.store import ProjectStore
from sidecar.user_errors import UserError
from tests.support.ledger_rows import row

HEALTH: Mapping[str, Any] = {"ledger": {"state": "ok", "written": 3}, "interceptor": {"state": "off"}, "warnings": []}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    home = Home(tmp_path / "home")
    home.open()
    settings = Settings(anthropic_api_key="sk-ant-of-the-tests", port=0)
    running = Running("http://127.0.0.1:4343", __version__, time.time() + 60, HEALTH)
    return Scene(home, settings, {}, running, None)


def found(check: Check, scene: Scene) -> dict[str, str]:
    """What it says, by severity: one finding of each at most."""
    return {finding.severity: finding.said for finding in check(scene)}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_is_wrong_where_nothing_is(check: Check, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert exit_code(check(scene)) == 0


def test_one_check_that_fails_stops_no_other(scene: Scene) -> None:
    def breaks(_: Scene) -> Iterator[Finding]:
        raise RuntimeError("no such thing")

    def refuses(_: Scene) -> Iterator[Finding]:
        raise UserError("The folder is locked.")

    findings = list(examine(scene, [breaks, refuses, machine.python]))
    assert [finding.severity for finding in findings] == ["warning", "warning", "ok"]
    assert "no such thing" in findings[0].said
    assert findings[1].said == "Could not be looked at: The folder is locked."


def test_the_exit_code_is_that_of_the_gravest() -> None:
    assert [exit_code([Finding("x", severity, ".")]) for severity in ("ok", "note", "warning", "problem")] == [
        0,
        0,
        1,
        2,
    ]
    assert exit_code([]) == 0


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a folder private by its access lists")
def test_files_that_others_may_read_are_found_and_closed(scene: Scene) -> None:
    scene.home.gateway_key()
    scene.home.gateway_key_file.chmod(0o644)
    [finding] = machine.permissions(scene)
    assert finding.severity == "warning"
    assert finding.mend is not None
    finding.mend()
    assert scene.home.gateway_key_file.stat().st_mode & 0o777 == 0o600
    assert set(found(machine.permissions, scene)) == {"ok"}


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"HTTPS_PROXY": "http://127.0.0.1:4344", "NO_PROXY": "*"}, "interceptor"),
        ({"ALL_PROXY": "localhost:4344", "NO_PROXY": "*"}, "interceptor"),
        ({"ANTHROPIC_BASE_URL": "http://localhost:4343"}, "itself"),
        ({"https_proxy": "http://proxy.example:3128"}, "NO_PROXY"),
        ({"http_proxy": "http://proxy.example:3128"}, "NO_PROXY"),
    ],
)
def test_variables_that_lead_astray_are_named(scene: Scene, environ: dict[str, str], word: str) -> None:
    assert word in found(machine.variables, replace(scene, environ=environ))["warning"]


def test_variables_that_lead_elsewhere_are_nobodys_business(scene: Scene) -> None:
    environ = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "localhost", "ANTHROPIC_BASE_URL": "https://x"}
    assert set(found(machine.variables, replace(scene, environ=environ))) == {"ok"}


def test_a_port_that_is_open_to_others_and_settings_that_make_no_sense_are_warnings(scene: Scene) -> None:
    open_one = replace(scene, settings=Settings(host="0.0.0.0"), warnings=("PORT is no number.",))
    assert [finding.severity for finding in machine.settings(open_one)] == ["warning", "warning"]


def test_a_sidecar_of_another_version_is_stale(scene: Scene) -> None:
    assert scene.running is not None
    assert (
        "installed"
        in found(gateway.sidecar, replace(scene, running=replace(scene.running, version="0.0.1")))["warning"]
    )
    older = replace(scene, running=replace(scene.running, started=1.0))
    assert "last changed" in found(gateway.sidecar, older)["note"]
    silent = replace(scene, running=replace(scene.running, health=None))
    assert "does not answer" in found(gateway.sidecar, silent)["problem"]


def test_a_port_that_another_program_has_is_a_problem(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = found(gateway.sidecar, replace(scene, running=None, settings=Settings(port=port)))["problem"]
    assert str(port) in said


def test_what_a_dead_sidecar_left_is_removed_and_a_living_ones_is_not(scene: Scene) -> None:
    with claimed(scene.home):
        announce(scene.home, "http://127.0.0.1:9")
        left = scene.home.state_file.read_bytes()
        assert not [finding for finding in gateway.sidecar(replace(scene, running=None)) if finding.mend]
    scene.home.state_file.write_bytes(left)
    [stale, _] = gateway.sidecar(replace(scene, running=None))
    assert stale.mend is not None
    stale.mend()
    assert not scene.home.state_file.exists()


def test_a_missing_key_is_a_problem_and_a_refused_one_too(scene: Scene) -> None:
    without = replace(scene, settings=Settings())
    assert "no Anthropic key" in found(gateway.key, replace(without, running=None))["problem"]
    refused = replace(scene, accepted=lambda: Tried(refused="invalid x-api-key"))
    assert found(gateway.key, refused) == {"problem": "Anthropic does not take the key: invalid x-api-key."}
    late = replace(scene, accepted=lambda: Tried(date=time.time() - 3600))
    assert "ahead of" in found(gateway.key, late)["warning"]


def test_a_key_that_only_the_running_one_has_is_no_problem(scene: Scene) -> None:
    """None starts without."""
    assert "this shell has none" in found(gateway.key, replace(scene, settings=Settings()))["note"]


def test_a_key_that_could_not_be_tried_is_not_called_a_wrong_one(scene: Scene) -> None:
    offline = replace(scene, accepted=lambda: Tried(unknown="it cannot be reached"))
    assert found(gateway.key, offline) == {
        "warning": "Whether Anthropic takes the key is not known: it cannot be reached."
    }


@pytest.mark.parametrize(
    ("health", "severity"),
    [
        ({"ledger": {"state": "ok", "dropped": 4}}, "problem"),
        ({"ledger": {"state": "down"}}, "warning"),
        ({"ledger": {"state": "ok"}, "warnings": ["budgets are not known"]}, "warning"),
    ],
)
def test_what_the_sidecar_complains_of_is_told(scene: Scene, health: dict[str, Any], severity: str) -> None:
    assert scene.running is not None
    assert severity in found(gateway.ledger_state, replace(scene, running=replace(scene.running, health=health)))


# --- the second door


def with_interceptor(scene: Scene, **told: Any) -> Scene:
    assert scene.running is not None
    health = {"interceptor": {"url": "http://127.0.0.1:5544", **told}}
    return replace(scene, running=replace(scene.running, health=health))


@pytest.mark.parametrize(
    ("state", "severity"),
    [("starting", "note"), ("running", "ok"), ("restarting", "problem"), ("stopping", "note")],
)
def test_each_state_of_the_interceptor_is_what_it_is(scene: Scene, state: str, severity: str) -> None:
    assert state in get_args(State)
    told = found(interception.interceptor, with_interceptor(scene, state=state, error="port 5544 is taken"))
    assert set(told) == {severity}
    assert ("5544" in told[severity]) == (state != "starting") or "taken" in told[severity]


def test_no_state_of_the_interceptor_is_left_out() -> None:
    assert set(get_args(State)) == {"starting", "running", "restarting", "stopping"}


def test_a_program_without_trust_is_told_of_for_an_hour_as_a_warning(scene: Scene) -> None:
    for ago, severity in ((timedelta(minutes=5), "warning"), (timedelta(hours=2), "note")):
        warned = (datetime.now(UTC) - ago).isoformat(timespec="seconds")
        looked = with_interceptor(scene, state="running", warning="A program did not accept it.", warned=warned)
        assert "A program did not accept it." in found(interception.interceptor, looked)[severity]


def test_an_interceptor_on_another_port_than_the_settings_is_known_as_one(scene: Scene) -> None:
    environ = {"HTTPS_PROXY": "http://127.0.0.1:5544", "NO_PROXY": "*"}
    looked = replace(with_interceptor(scene, state="running"), environ=environ)
    assert "interceptor" in found(machine.variables, looked)["warning"]


def test_a_way_to_claude_that_leads_in_a_circle_is_a_problem(scene: Scene) -> None:
    circle = replace(scene, settings=Settings(upstream_proxy="http://localhost:4344"))
    assert "circle" in found(machine.settings, circle)["problem"]


def test_a_port_that_the_interceptor_could_not_have_is_known_before_it_starts(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        asked_for = replace(scene, running=None, settings=Settings(intercept=True, intercept_port=port))
        assert str(port) in found(interception.interceptor, asked_for)["problem"]
        nobody_asked = replace(scene, running=None, settings=Settings(intercept_port=port))
        assert found(interception.interceptor, nobody_asked) == {}


def test_an_authority_is_good_for_its_hosts_and_its_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(interception.authority, scene) == {}
    ensure(scene.home, scene.settings.intercept_hosts)
    told = found(interception.authority, scene)
    assert "good until" in told["ok"]
    assert "cgw run --intercept" in told["note"]
    others = replace(scene, settings=Settings(intercept_hosts=("api.groq.com",)))
    assert "other hosts" in found(interception.authority, others)["warning"]
    for days, severity in ((-1, "problem"), (5, "warning")):
        ends = authority_module.LIFETIME - timedelta(days=days, hours=1)
        monkeypatch.setattr(interception, "datetime", later(ends))
        assert "expire" in found(interception.authority, scene)[severity]


def later(delta: timedelta) -> Any:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + delta

    return Later


def test_a_system_that_trusts_it_is_seen(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ensure(scene.home, scene.settings.intercept_hosts)
    system = tmp_path / "ca-certificates.crt"
    system.write_bytes(b"# of the system\r\n" + made.certificate.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.setattr(authority_module, "SYSTEM_BUNDLES", (str(system),))
    monkeypatch.setattr(sys, "platform", "linux")
    assert "This system trusts" in [finding.said for finding in interception.authority(scene)][-1]


# --- what the ledger shows


@pytest.fixture
def database(scene: Scene) -> Iterator[Database]:
    opened = Database.open(None, scene.home.path)
    yield opened
    opened.close()


def asked(database: Database, count: int, **fields: Any) -> None:
    now = datetime.now(UTC) - timedelta(hours=1)
    database.write([row(time=now, **fields) for _ in range(count)])


def test_retired_and_unknown_models_are_named(scene: Scene, database: Database) -> None:
    asked(database, 2, model_requested="claude-3-opus", model="claude-opus-5-5", route_reason="retired")
    looked = replace(scene, database=lambda: database)
    assert "claude-3-opus is retired" in found(use.models, looked)["warning"]


def test_a_cache_that_does_not_hold_is_told_with_its_dearest_cause(scene: Scene, database: Database) -> None:
    looked = replace(scene, database=lambda: database)
    asked(database, 20, input_tokens=10, cache_read_tokens=90)
    assert "90%" in found(use.cache_reads, looked)["ok"]
    for number in range(10):
        cause = f"the system prompt changed at character {number}: `x`"
        asked(database, 1, cache_write_5m_tokens=5000, miss_cause=cause, miss_tokens=5000)
    asked(database, 1, cache_write_5m_tokens=900, miss_cause="a pause of 7 minutes: it was", miss_tokens=900)
    [finding] = use.cache_reads(looked)
    assert finding.severity == "warning"
    assert "(50,000 tokens): the system prompt changed." in finding.said
    assert "clocks" in (finding.fix or "")


def test_a_budget_that_is_nearly_spent_is_a_warning(scene: Scene, database: Database) -> None:
    ProjectStore(database).add(Project(name="web", daily_budget=1_000_000))
    asked_now = [row(time=datetime.now(UTC), project="web", cost_micros=Decimal(900_000))]
    database.write(asked_now)
    looked = replace(scene, database=lambda: database)
    assert "90% of its daily budget" in found(use.budgets, looked)["warning"]


def test_editors_are_told_apart_by_where_they_point(scene: Scene, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "claude").write_text("#!/bin/sh\n")
    (programs / "claude").chmod(0o755)
    looked = replace(scene, environ={"PATH": str(programs), "CLAUDE_CONFIG_DIR": str(tmp_path / "claude")})
    told = [finding for finding in editors.editors(looked) if "Claude Code" in finding.said]
    assert [finding.severity for finding in told] == ["note"]
    assert told[0].fix == "`cgw connect claude-code --write` leads it here."
    none_runs = replace(looked, running=None, settings=Settings(port=4343))
    assert any("Claude Code" in finding.said for finding in editors.editors(none_runs))
    assert not list(editors.editors(replace(none_runs, settings=Settings(port=0))))
