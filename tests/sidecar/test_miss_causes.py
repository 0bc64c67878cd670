"""Causes of a cache that did not hold, case by case. Shown with real requests in `end_to_end/test_miss_causes.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.conversation import Accepted, Edit, Line, Match, positions_of
from sidecar.exchange import Exchange, Json, Usage
from sidecar.miss_causes import cause_of, expected, terms_of
from sidecar.prompt import Prompt

NOW = 1_800_000_000.0
MODEL = "claude-sonnet-5-5"


def a_request(turns: int = 2, **fields: Any) -> Json:
    messages: list[Json] = [{"role": "user", "content": "Find the bug."}]
    for turn in range(turns - 1):
        messages.append({"role": "assistant", "content": f"I look at file {turn}."})
        messages.append({"role": "user", "content": f"Here is file {turn}."})
    return {
        "model": MODEL,
        "tools": [{"name": "read"}, {"name": "write"}],
        "system": "You are a coder.",
        "messages": messages,
        **fields,
    }


def prompt_of(request: Json) -> Prompt:
    positions = positions_of(request)
    assert positions is not None
    return Prompt("default", positions)


def a_line(*requests: Json, marks: str = "5m", model: str = MODEL) -> Line:
    """As these requests of one conversation went upstream, a second apart, the last one now."""
    line = Line("line", "default", "tests")
    for number, request in enumerate(requests):
        prompt = prompt_of(request)
        prompt.frozen = len(line.sent)
        line.extend(prompt.sent())
        until = len(line.sent)
        line.accept(
            Accepted(
                now=NOW - len(requests) + 1 + number,
                model=model,
                until=until,
                tokens=until * 1000,
                written_5m=until * 1000,
                marks={until - 1: marks},
            )
        )
        line.terms = terms_of(request)
    return line


def sent(request: Json, line: Line, *, later: float = 5.0, read: int = 0, **fields: Any) -> Exchange:
    """An exchange whose answer has begun, and that has read so many tokens from the cache."""
    prompt = prompt_of(request)
    common = next(
        (at for at, (one, now) in enumerate(zip(line.chain, prompt.chain, strict=False)) if one != now),
        min(len(line.chain), len(prompt.chain)),
    )
    if common:
        prompt.resume(Match(line, common), NOW + later)
    prompt.marks = {len(prompt.positions) - 1: "5m"}
    prompt.expected = expected(prompt, [line])
    size = len(prompt.positions) * 1000
    return Exchange(
        **{
            "id": "req_1",
            "dialect": "anthropic_messages",
            "client_headers": {},
            "query": "",
            "client_body": b"",
            "request": request,
            "stream": False,
            "model_asked": MODEL,
            "model": MODEL,
            "now": NOW + later,
            "prompt": prompt,
            "usage": Usage(cache_read_tokens=read, cache_write_5m_tokens=size - read),
            **fields,
        }
    )


def cause(exchange: Exchange) -> str | None:
    assert exchange.prompt is not None
    found = cause_of(exchange, exchange.prompt)
    return None if found is None else f"{'ours: ' if found.ours else ''}{found.cause}"


LINE = a_line(a_request(1), a_request(2))


def test_what_was_read_was_not_missed() -> None:
    assert cause(sent(a_request(3), LINE, read=len(LINE.sent) * 1000)) is None


def test_nothing_is_expected_of_a_conversation_that_begins() -> None:
    other = {**a_request(1), "messages": [{"role": "user", "content": "Write the tests."}]}
    assert cause(sent(other, LINE)) is None


def test_nothing_is_expected_where_nothing_was_written() -> None:
    line = a_line(a_request(1))
    line.requests = [replace(line.requests[0], written_5m=0)]
    assert cause(sent(a_request(2), line)) is None


def test_only_what_was_there_counts_as_missed() -> None:
    exchange = sent(a_request(3), LINE, read=1000)
    assert exchange.prompt is not None
    found = cause_of(exchange, exchange.prompt)
    assert found is not None
    assert found.tokens == (len(LINE.sent) - 1) * 1000


def shortened(request: Json) -> Json:
    return {**request, "messages": [request["messages"][0], *request["messages"][3:]]}


@pytest.mark.parametrize(
    ("request_now", "told"),
    [
        (a_request(3, tools=[{"name": "read"}]), "tool definitions were removed: write"),
        (
            a_request(3, tools=[{"name": "read"}, {"name": "write"}, {"name": "a"}, {"name": "b"}]),
            "tool definitions were added: a and 1 more",
        ),
        (a_request(3, tools=[{"name": "read", "strict": True}, {"name": "write"}]), "tool definitions changed: read"),
        (a_request(3, tools=[{"name": "write"}, {"name": "read"}]), "tool definitions came in another order"),
        (a_request(3, system="You are a poet."), "the system prompt changed at character 11: `You are a poet.`"),
        (
            a_request(3, system="You are a coder. Be brief."),
            "the system prompt changed at character 17: `You are a coder. Be brief.`",
        ),
        (a_request(3, system=None), "the system prompt was removed"),
        (a_request(3, tool_choice={"type": "any"}), '`tool_choice` changed from unset to {"type":"any"}'),
        (a_request(3), "unknown: nothing changed, and its lifetime had not run out"),
    ],
)  # fmt: skip
def test_what_the_client_changed_is_named(request_now: Json, told: str) -> None:
    assert cause(sent(request_now, LINE)) == told


def test_history_that_was_left_out_is_told() -> None:
    line = a_line(a_request(1), a_request(2), a_request(3))
    assert cause(sent(shortened(a_request(3)), line)) == "the conversation was shortened from message 2 on"


def test_a_pause_is_told_unless_the_conversation_was_kept_warm() -> None:
    assert cause(sent(a_request(3), LINE, later=3 * 3600)) == "a pause of 3 hours: it was cached for 5 minutes"
    hour = a_line(a_request(1), a_request(2), marks="1h")
    assert cause(sent(a_request(3), hour, later=600)) == "unknown: nothing changed, and its lifetime had not run out"
    assert cause(sent(a_request(3), hour, later=3700)) == "a pause of 62 minutes: it was cached for 60 minutes"
    warm = a_line(a_request(1), a_request(2))
    warm.warm_until = NOW + 4000
    assert cause(sent(a_request(3), warm, later=3600)) == "unknown: nothing changed, and its lifetime had not run out"


def test_a_model_that_the_gateway_chose_is_its_own_doing() -> None:
    told = f"the model changed from {MODEL} to claude-haiku-5-5"
    assert cause(sent(a_request(3), LINE, model="claude-haiku-5-5")) == told
    assert cause(sent(a_request(3), LINE, model="claude-haiku-5-5", route_reason="fallback")) == f"ours: {told}"


def test_what_the_gateway_wrote_anew_is_its_own_doing() -> None:
    exchange = sent(a_request(3), LINE)
    assert exchange.prompt is not None
    exchange.prompt.thaw()
    assert cause(exchange) == "ours: what had been sent before was shortened anew"
    exchange.prompt.thinking_refused = True
    assert (cause(exchange) or "").startswith("ours: Claude refused thinking")


def test_a_marker_too_far_from_the_last_is_the_fault_of_whoever_set_it() -> None:
    longer = a_request(20)
    told = f"{len(positions_of(longer) or ()) - len(LINE.sent)} blocks came since the last cache marker"
    exchange = sent(longer, LINE)
    assert (cause(exchange) or "").startswith(f"ours: {told}")
    assert exchange.prompt is not None
    exchange.prompt.client_marks, exchange.prompt.marks = {len(exchange.prompt.positions) - 1: "5m"}, {}
    assert (cause(exchange) or "").startswith(told)


def test_a_request_without_markers_says_so_and_claudes_own_diagnosis_is_passed_on() -> None:
    exchange = sent(a_request(3), LINE, cache_miss={"type": "system_changed"})
    assert cause(exchange) == "Claude says system_changed"
    assert exchange.prompt is not None
    exchange.prompt.marks = {}
    assert cause(exchange) == "the request has no cache marker: caching is off for it"


TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)


@given(system=TEXTS, read=st.integers(0, 4000), later=st.floats(0, 10_000))
def test_a_cause_is_one_printable_line_and_never_ours_where_the_gateway_did_nothing(
    system: str, read: int, later: float
) -> None:
    exchange = sent(a_request(3, system=system), LINE, read=read, later=later)
    assert exchange.prompt is not None
    found = cause_of(exchange, exchange.prompt)
    if found is not None:
        assert not found.ours
        assert found.cause.isprintable()
        assert 0 < found.tokens <= len(LINE.sent) * 1000


@given(later=st.floats(0, 299), read=st.integers(0, 4000), turns=st.integers(3, 9))
def test_a_client_that_changed_nothing_and_was_in_time_is_never_blamed(later: float, read: int, turns: int) -> None:
    told = cause(sent(a_request(turns), LINE, later=later, read=read))
    assert told in {None, "unknown: nothing changed, and its lifetime had not run out"}


@given(secret=st.from_regex(r"sk-ant-[a-z0-9]{8,40}", fullmatch=True), before=TEXTS)
def test_a_secret_in_what_changed_is_never_quoted(secret: str, before: str) -> None:
    line = a_line(a_request(1, system=f"{before} {secret}"), a_request(2, system=f"{before} {secret}"))
    told = cause(sent(a_request(3, system=f"{before} {secret}x1"), line))
    assert told is not None
    assert secret[7:15] not in told.replace(before, "")


def test_an_edit_of_a_layer_that_stays_as_it_was_sent_is_no_change() -> None:
    line = a_line(a_request(1), a_request(2))
    line.sent[-1] = line.sent[-1]._replace(edit=Edit(({"type": "text", "text": "shorter"},)))
    assert cause(sent(a_request(3), line, read=len(line.sent) * 1000)) is None


def test_a_line_without_end_is_quoted_by_its_beginning() -> None:
    line = a_line(a_request(1, system="short"), a_request(2, system="short"))
    told = cause(sent(a_request(3, system=f"{'+' * 500_000}\n"), line))
    assert told is not None
    assert len(told) < 200
