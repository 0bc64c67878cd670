"""Every route that there is, asked in every way that HTTP allows: an answer of the documented kind, never a failure.

What schemathesis does with a description of a service, done with the routes themselves: a route that is added is tried
without a line here.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import count

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from tests.support.in_process import KEY, Heard, InProcess, running

METHODS = ("GET", "POST", "DELETE", "PATCH", "PUT", "OPTIONS", "HEAD")
PLACES = [
    "x",
    "default",
    "0",
    "-1",
    "req_1",
    "..",
    "%2e%2e",
    "a" * 3000,
    "\u00e9",
    "claude-sonnet-5-5",
    "sonnet",
    "a b",
    "\x00",
    "'; drop table projects; --",
    "{x}",
    "[object Object]",
    "9" * 400,
    "\u202e",
    "a/b/c",
]
QUERIES = [
    b"",
    b"limit=5",
    b"limit=-1",
    b"limit=" + b"9" * 400,
    b"limit=NaN",
    b"since=7d",
    b"since=never",
    b"until=2026-13-45",
    b"by=model",
    b"by=;drop",
    b"format=csv",
    b"format=xml",
    b"project=%00",
    b"project=default",
    b"before=x",
    b"after=9e999",
    b"%ff=%ff",
    b"limit=5&limit=6",
    b"=&&=",
    b"q=" + b"a" * 5000,
    b"cursor=%F0%9F",
    b"since=9999999999d",
    b"hours=1e9",
    b"api-version=2024-10-21",
    b"status=abc",
    b"offset=-5",
    b"minutes=0",
    b"granularity=day",
    b"id=%2e%2e%2f",
]
BODIES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"7",
    b"nope",
    b'{"on":true}',
    b'{"on":"x"}',
    b'{"keep":-1}',
    b'{"keep":1e999}',
    b"\xff",
    b'{"model":"sonnet"}',
    b'{"model":null,"messages":7}',
    b'{"bypass":[]}',
    b'{"rpm":-5}',
    b'{"rpm":null,"budget":"x"}',
    b'{"daily_budget_usd":"1e400"}',
    b'{"name":"\\ud800"}',
    b"[" * 3000,
    b'{"requests":[{"custom_id":7,"params":{}}]}',
    orjson.dumps({"model": "sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    orjson.dumps({"model": "sonnet", "input": "hi", "previous_response_id": "../x"}),
]
EXTRA = [
    (b"x-project", b"none"),
    (b"accept", b"text/html"),
    (b"range", b"bytes=0-5"),
    (b"if-none-match", b"*"),
    (b"anthropic-version", b"2023-06-01"),
    (b"last-event-id", b"\xff"),
    (b"content-type", b"multipart/form-data"),
    (b"expect", b"100-continue"),
    (b"x-http-method-override", b"DELETE"),
    (b"openai-beta", b"x=1"),
]
STREAMS = re.compile(r".*/admin/events")
"""It never ends."""
NOT_HERE = {501, 502, 503}
"""What is said of what this sidecar cannot do, or not now; 502 where Claude would be asked, who is not there."""

BATCHES, BATCH = 33, 40


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    yield from running(tmp_path_factory.mktemp("home"))


def paths(app: InProcess) -> list[str]:
    return sorted({route.path for route in app.routes if isinstance(route, Route) and not STREAMS.match(route.path)})


def check(app: InProcess, method: str, heard: Heard) -> None:
    assert app.complaints.records == [], app.complaints.records[0].getMessage()
    assert heard.status < 500 or heard.status in NOT_HERE, heard
    assert all(value.isprintable() for value in heard.headers.values())
    kind = heard.headers.get("content-type", "").partition(";")[0]
    if heard.status >= 400:
        assert kind == "application/json"
        error = orjson.loads(heard.body)["error"]
        assert error["message"]
        assert error["type"]
        assert "Traceback" not in error["message"]
        if heard.status == 405:
            assert heard.headers["allow"]
            assert method not in heard.headers["allow"].split(", ")
    elif kind == "application/json" and method != "HEAD":
        orjson.loads(heard.body)


def test_every_route_answers_whatever_way_it_is_asked(app: InProcess) -> None:
    routes = paths(app)
    turn = count()

    @settings(max_examples=BATCHES, phases=(Phase.generate,), suppress_health_check=list(HealthCheck), database=None)
    @given(st.integers(0, 2**64))
    def batch(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(BATCH):
            route = routes[next(turn) % len(routes)]
            path = re.sub(r"\{[^}]*\}", lambda _: chance.choice(PLACES), route)
            method = chance.choice(METHODS)
            headers = [(b"host", b"localhost"), *chance.sample(EXTRA, chance.choice((0, 0, 1, 2)))]
            if chance.random() < 0.9:
                headers.append((b"x-api-key", KEY.encode()))
            query, body = chance.choice(QUERIES), chance.choice(BODIES) if method not in ("GET", "HEAD") else b""
            app.complaints.records.clear()
            try:
                check(app, method, app.ask(method, path, headers, body, query=query))
            except Exception as error:
                raise AssertionError(f"{method} {path!r} ?{query!r} {headers} {body!r}") from error

    batch()
    assert next(turn) >= 4 * len(routes)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/v1", "/v1/chat", "/admin", "/admin/nothing", "//health", "/v1/messages/"]
)
def test_what_is_not_there_is_a_404_in_json(app: InProcess, path: str) -> None:
    heard = app.ask("GET", path, [(b"host", b"localhost"), (b"x-api-key", KEY.encode())])
    assert heard.status in (307, 404)
    if heard.status == 404:
        assert orjson.loads(heard.body)["error"]["message"]
