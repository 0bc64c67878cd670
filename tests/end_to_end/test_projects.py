"""Several projects behind one gateway: who may act as whom, on what, over real sockets with the real SDKs."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.ledger.database import Database
from sidecar.models.catalogue import WISHES
from sidecar.projects.policy import Policy
from sidecar.projects.project import Project
from sidecar.projects.store import ProjectStore
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support import thorough
from tests.support.sidecar import RunningSidecar

HELLO: Any = [{"role": "user", "content": "hello"}]
ADDON = """
class TellProject:
    def request(self, exchange):
        exchange.response_headers["x-told-project"] = exchange.project
        exchange.response_headers["x-told-diff-first"] = str(exchange.policy.switch("enforce_diff_first", True))
"""


@dataclass
class Team:
    """A running gateway with two projects."""

    gateway: RunningSidecar
    store: ProjectStore
    keys: dict[str, str]

    def ask(self, key: str, path: str = "/v1/chat/completions", **headers: str) -> httpx2.Response:
        body = {"model": "sonnet", "max_tokens": 50, "messages": HELLO}
        return httpx2.post(
            self.gateway.url + path, json=body, headers={"authorization": f"Bearer {key}", **headers}, timeout=60
        )

    def until(self, done: Callable[[], bool]) -> None:
        """The gateway knows of a change within seconds."""
        deadline = time.monotonic() + 60
        while not done():
            assert time.monotonic() < deadline, "the gateway never heard of the change"
            time.sleep(0.1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def team(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, running_simulator: RunningSimulator
) -> Iterator[Team]:
    home = tmp_path_factory.mktemp("team")
    url = None
    if request.param == "postgresql":
        server: str = request.getfixturevalue("postgres_url")
        name = f"team_{uuid.uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = f"{server.rpartition('/')[0]}/{name}"
    addon = home / "tell_project.py"
    addon.write_text(ADDON)
    database = Database.open(url, home)
    store = ProjectStore(database)
    keys = {
        "alpha": store.add(Project(name="alpha", policy=Policy(switches={"enforce_diff_first": False}))),
        "beta": store.add(Project(name="beta")),
        "messages": store.add(Project(name="messages")),
    }
    options: dict[str, Any] = {"enable_multi_project": True, "database_url": url}
    with RunningSidecar(home, running_simulator, addon_files=(addon,), **options) as gateway:
        yield Team(gateway, store, keys)
    database.close()


def test_the_openai_sdk_works_with_a_projects_key(team: Team, claude: Simulator) -> None:
    for base in ("/v1", "/p/alpha/v1", "/p/alpha"):
        with openai.OpenAI(base_url=team.gateway.url + base, api_key=team.keys["alpha"], max_retries=0) as sdk:
            raw = sdk.chat.completions.with_raw_response.create(model="sonnet", messages=HELLO)
            assert raw.headers["x-told-project"] == "alpha"
            with sdk.chat.completions.create(model="sonnet", messages=HELLO, stream=True) as stream:
                assert [chunk for chunk in stream if chunk.choices][-1].choices[0].finish_reason == "stop"
            assert "sonnet" in {model.id for model in sdk.models.list()}
    assert len(claude.ledger.wait(6)) == 6


def test_the_anthropic_sdk_works_with_a_projects_key(team: Team, claude: Simulator) -> None:
    for base in ("", "/p/alpha"):
        with anthropic.Anthropic(base_url=team.gateway.url + base, api_key=team.keys["alpha"], max_retries=0) as sdk:
            raw = sdk.messages.with_raw_response.create(model="sonnet", max_tokens=50, messages=HELLO)
            assert raw.headers["x-told-project"] == "alpha"
            assert sdk.messages.count_tokens(model="sonnet", messages=HELLO).input_tokens > 0
            assert sdk.models.list().data
    assert claude.ledger.wait(2)


def test_the_owner_chooses_by_path_or_header_and_is_default_otherwise(team: Team, claude: Simulator) -> None:
    owner = team.gateway.key
    assert team.ask(owner).headers["x-told-project"] == "default"
    assert team.ask(owner, **{"x-project": "beta"}).headers["x-told-project"] == "beta"
    assert team.ask(owner, "/p/beta/v1/messages").headers["x-told-project"] == "beta"
    assert team.ask(owner, "/p/nobody/v1/messages").status_code == 404
    assert team.ask(owner, "/p/alpha/v1/messages", **{"x-project": "beta"}).status_code == 400
    assert claude.ledger.wait(3)


def test_what_a_project_turned_off_is_off_for_it_alone(team: Team, claude: Simulator) -> None:
    told = {name: team.ask(team.keys[name]).headers["x-told-diff-first"] for name in ("alpha", "beta")}
    assert told == {"alpha": "False", "beta": "True"}
    assert claude.ledger.wait(2)


@pytest.mark.parametrize(("path", "native"), [("/v1/chat/completions", False), ("/v1/messages", True)])
def test_a_refusal_is_in_the_dialect_of_the_route_whatever_the_project_is_called(
    team: Team, path: str, native: bool
) -> None:
    for name in ("messages", "beta"):
        answer = team.ask(team.keys["alpha"], f"/p/{name}{path}")
        assert answer.status_code == 403
        body = answer.json()
        assert ("type" in body) is native
        assert body["error"]["type"] == "permission_error"
        assert native or body["error"]["code"] == "wrong_project"


BASES = ["", "/v1", *(f"/p/{name}{version}" for name in ("alpha", "beta", "default") for version in ("", "/v1"))]


@settings(max_examples=40, suppress_health_check=thorough.ONE_FIXTURE)
@given(
    base=st.sampled_from(BASES),
    route=st.sampled_from(["/chat/completions", "/messages"]),
    shown=st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from(["x-api-key", "api-key", "authorization"]), st.sampled_from(["alpha", "beta", ""])
            ),
            st.tuples(st.just("x-project"), st.sampled_from(["alpha", "beta", "default", "nobody"])),
        ),
        max_size=4,
    ),
)
def test_no_mix_of_key_header_and_path_lets_a_project_act_as_another(
    team: Team, base: str, route: str, shown: list[tuple[str, str]]
) -> None:
    held, headers = set(), []
    for name, value in shown:
        if name == "x-project":
            headers.append((name, value))
            continue
        held |= {value} - {""}
        key = team.keys.get(value, "cgw-wrong")
        headers.append((name, f"Bearer {key}" if name == "authorization" else key))
    body = {"model": "sonnet", "max_tokens": 50, "messages": HELLO}
    answer = httpx2.post(f"{team.gateway.url}{base}{route}", json=body, headers=headers, timeout=60)
    if answer.status_code == 200:
        assert answer.headers["x-told-project"] in held
        asked = {value for name, value in headers if name == "x-project"} | set(base.split("/")[2:3])
        assert asked <= {answer.headers["x-told-project"], "v1"}
    else:
        assert answer.status_code in {400, 401, 403, 404}
        assert "x-told-project" not in answer.headers


def test_usage_is_kept_by_project(team: Team, claude: Simulator) -> None:
    for name, times in (("alpha", 1), ("beta", 2)):
        for _ in range(times):
            team.ask(team.keys[name])
    assert claude.ledger.wait(3)

    def requests(name: str) -> int:
        answer = httpx2.get(
            f"{team.gateway.url}/admin/usage",
            params={"by": "project", "project": name},
            headers={"x-api-key": team.gateway.key},
        )
        return int(answer.json()["total"]["requests"])

    before = {name: requests(name) for name in ("alpha", "beta")}
    team.ask(team.keys["alpha"])
    team.until(lambda: requests("alpha") >= before["alpha"] + 1)
    assert (
        httpx2.get(f"{team.gateway.url}/admin/usage", headers={"x-api-key": team.keys["alpha"]}).status_code == 401
    ), "a project's key reads nobody's usage"


def test_a_change_is_known_within_seconds_and_a_rotated_or_removed_key_opens_nothing(
    team: Team, claude: Simulator
) -> None:
    key = team.store.add(Project(name="gamma"))
    team.until(lambda: team.ask(key).status_code == 200)
    new = team.store.rotate_key("gamma")
    team.until(lambda: team.ask(new).status_code == 200)
    assert team.ask(key).status_code == 401
    team.store.remove("gamma")
    team.until(lambda: team.ask(new).status_code == 401)
    assert claude.ledger.wait(2)


def test_a_project_uses_only_its_models(team: Team, claude: Simulator) -> None:
    policy = Policy(models=("haiku",), default_model="haiku")
    key = team.store.add(Project(name="thrifty", policy=policy))
    team.until(lambda: team.ask(key).status_code == 403)
    with openai.OpenAI(base_url=f"{team.gateway.url}/v1", api_key=key, max_retries=0) as sdk:
        with pytest.raises(openai.PermissionDeniedError, match="may not use claude-sonnet") as refused:
            sdk.chat.completions.create(model="sonnet", messages=HELLO)
        assert refused.value.code == "model_not_allowed"
        listed = {model.id for model in sdk.models.list()}
        assert {name for name in listed if "haiku" not in name} == set(WISHES)  # what it may use answers those
        assert [sdk.models.retrieve(name).id for name in ("haiku", "auto")] == ["haiku", "auto"]
        with pytest.raises(openai.PermissionDeniedError):
            sdk.models.retrieve("opus")
        for name in ("haiku", "auto", "auto:best"):
            assert "haiku" in sdk.chat.completions.create(model=name, messages=HELLO).model
    for path in ("/v1/chat/completions", "/v1/messages"):
        answer = httpx2.post(
            team.gateway.url + path, json={"max_tokens": 50, "messages": HELLO}, headers={"x-api-key": key}, timeout=60
        )
        assert "haiku" in answer.json()["model"]
    assert all("haiku" in json.loads(row.body)["model"] for row in claude.ledger.wait(5))


def test_an_addon_cannot_choose_a_model_that_the_project_may_not_use(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    addon = tmp_path / "dear.py"
    addon.write_text("class Dear:\n    def request(self, exchange):\n        exchange.model = 'claude-opus-5-5'\n")
    database = Database.open(None, tmp_path)
    key = ProjectStore(database).add(Project(name="p", policy=Policy(models=("haiku",))))
    database.close()
    with RunningSidecar(tmp_path, running_simulator, addon_files=(addon,), enable_multi_project=True) as gateway:
        answer = httpx2.post(
            f"{gateway.url}/v1/messages",
            json={"model": "haiku", "max_tokens": 50, "messages": HELLO},
            headers={"x-api-key": key},
            timeout=60,
        )
    assert answer.status_code == 403
    assert not claude.ledger.messages


def test_without_the_switch_a_projects_base_path_says_what_is_off(gateway: RunningSidecar) -> None:
    for base, version in itertools.product(("/p/alpha",), ("", "/v1")):
        answer = httpx2.get(f"{gateway.url}{base}{version}/models", headers={"x-api-key": gateway.key})
        assert answer.status_code == 404
        assert "ENABLE_MULTI_PROJECT=1" in answer.json()["error"]["message"]


def test_a_database_that_is_lost_later_stops_nobody_and_is_shown(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    database = Database.open(None, tmp_path)
    key = ProjectStore(database).add(Project(name="p"))
    database.close()
    with RunningSidecar(tmp_path, running_simulator, enable_multi_project=True) as gateway:
        team = Team(gateway, ProjectStore(database), {"p": key})
        assert team.ask(key).status_code == 200
        (tmp_path / "ledger.sqlite3").write_bytes(b"this is no database any more" * 1000)
        team.until(lambda: any("projects" in line for line in httpx2.get(f"{gateway.url}/health").json()["warnings"]))
        assert team.ask(key).status_code == 200
    assert claude.ledger.wait(2)


def test_nobody_is_let_in_while_projects_were_never_read(tmp_path: Path, running_simulator: RunningSimulator) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"this is no database" * 1000)
    with RunningSidecar(tmp_path, running_simulator, enable_multi_project=True) as gateway:
        answer = httpx2.get(f"{gateway.url}/v1/models", headers={"x-api-key": gateway.key}, timeout=60)
        assert answer.status_code == 503
        assert "could not be read" in answer.json()["error"]["message"]
        assert answer.headers["retry-after"]


def test_a_batch_is_its_projects_and_the_owners(team: Team) -> None:
    def asked(key: str, method: str = "GET", path: str = "", body: Any = None) -> httpx2.Response:
        url, headers = f"{team.gateway.url}/v1/messages/batches{path}", {"x-api-key": key}
        return httpx2.request(method, url, json=body, headers=headers, timeout=60)

    mine, other = list(team.keys.values())[:2]
    params = {"model": "claude-sonnet-5-5", "max_tokens": 50, "messages": HELLO}
    made = asked(mine, "POST", body={"requests": [{"custom_id": "a", "params": params}]}).json()["id"]
    assert asked(mine, path=f"/{made}").json()["id"] == made
    for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel"), ("DELETE", "")):
        assert asked(other, method, f"/{made}{path}").status_code == 404
    listed = {key: [batch["id"] for batch in asked(key).json()["data"]] for key in (mine, other, team.gateway.key)}
    assert (made in listed[mine], made in listed[other], made in listed[team.gateway.key]) == (True, False, True)
