"""Boilerplate: what is told by a marker, what goes where the cache is cold, and what nobody touches."""

import asyncio
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import ValidationError

from addons import boilerplate
from addons.boilerplate import Boilerplate
from sidecar.boilerplate.catalogue import Row, built_in
from sidecar.boilerplate.repeats import expand
from sidecar.boilerplate.segments import Segment, segments_in
from sidecar.exchange import Json
from tests.support.exchanges import an_exchange
from tests.support.talks import Talk, assistant, call, result, texts, user

SAMPLES = tomllib.loads((Path(__file__).parent.parent / "sidecar/boilerplate/samples.toml").read_text(encoding="utf-8"))
ROWS = {row.id: row for row in built_in().rows}
RULES = "<reminderInstructions>\n" + "Use the replace tool with care.\n" * 8 + "</reminderInstructions>"
HOURS = 3_600.0


@pytest.fixture
def talking(tmp_path: Path) -> Iterator[Callable[..., Talk]]:
    talks: list[Talk] = []

    def begin(**settings: Any) -> Talk:
        talks.append(Talk(tmp_path, Boilerplate, **settings))
        return talks[-1]

    yield begin
    for talk in talks:
        talk.close()


def of_class(kind: str) -> list[dict[str, str]]:
    found = [sample for sample in SAMPLES["sample"] if ROWS[sample["row"]].kind == kind]
    return [sample for sample in found if ROWS[sample["row"]].enabled and ROWS[sample["row"]].zone == "messages"]


def lengthened(sample: dict[str, str]) -> str:
    """The sample with more of the same in it, so that it is worth the trouble."""
    row, part = ROWS[sample["row"]], sample["part"]
    begin = "# VSCode Open Tabs\n" if "Open Tabs" in part else next(begin for begin in row.begin if begin in part)
    at = part.index(begin) + len(begin)
    return sample.get("before", "") + part[:at] + " and so on" * 60 + part[at:] + sample.get("behind", "")


def client_of(row: Row) -> str:
    return min(row.clients, default="unknown")


def twice(text: str, row: Row) -> list[Json]:
    """A conversation in which it is said twice, in the form in which the row has it."""
    if row.results:
        return [
            user("go"),
            assistant(call("t1")),
            user(result("t1", text)),
            assistant(call("t2")),
            user(result("t2", text)),
        ]
    return [user(text), assistant("ok"), user(text)]


@pytest.mark.parametrize("sample", of_class("A"), ids=lambda sample: str(sample["row"]))
def test_instructions_that_are_repeated_become_a_marker_and_come_back(
    talking: Callable[..., Talk], sample: dict[str, str]
) -> None:
    row = ROWS[sample["row"]]
    request = {"messages": twice(lengthened(sample), row)}
    sent = talking().send(request, client=client_of(row))
    second = texts(sent)[-1]
    assert second.count("[cgw repeat ") == 1
    assert len(second) < len(lengthened(sample)) / 2
    assert sent["messages"][:-1] == request["messages"][:-1]
    assert expand(sent) == request


@pytest.mark.parametrize("sample", of_class("C"), ids=lambda sample: str(sample["row"]))
def test_what_must_not_be_touched_stays_also_in_the_cold(talking: Callable[..., Talk], sample: dict[str, str]) -> None:
    row, talk = ROWS[sample["row"]], talking()
    messages = twice(lengthened(sample), row)
    assert talk.send({"messages": messages}, client=client_of(row), now=1.0) == {"messages": messages}
    messages = [*messages, assistant("ok"), user("go on")]
    assert talk.send({"messages": messages}, client=client_of(row), now=1.0 + 3 * HOURS) == {"messages": messages}


@pytest.mark.parametrize("sample", of_class("B"), ids=lambda sample: str(sample["row"]))
def test_the_editors_state_goes_from_old_turns_where_the_cache_is_cold_and_only_there(
    talking: Callable[..., Talk], sample: dict[str, str]
) -> None:
    row, talk = ROWS[sample["row"]], talking()
    text = lengthened(sample)
    messages = [user(text), assistant("ok"), user(text)]
    assert talk.send({"messages": messages}, client=client_of(row), now=1.0) == {"messages": messages}
    messages = [*messages, assistant("ok"), user(text)]
    assert talk.send({"messages": messages}, client=client_of(row), now=60.0) == {"messages": messages}
    messages = [*messages, assistant("ok"), user(text)]
    cold = talk.send({"messages": messages}, client=client_of(row), now=60.0 + 3 * HOURS)
    old = texts(cold)[0:-1:2]
    assert all(short.count("[cgw cut: ") == 1 and "and so on" not in short for short in old)
    assert texts(cold)[-1] == text
    assert "changed (the editor's state in 3 earlier turns, left out)" in talk.noted[0]
    messages = [*messages, assistant("ok"), user(text)]
    later = talk.send({"messages": messages}, client=client_of(row), now=90.0 + 3 * HOURS)
    assert later["messages"][: len(cold["messages"])] == cold["messages"]
    assert texts(later)[-1] == text


def test_terminal_output_and_modified_files_of_old_turns_stay(talking: Callable[..., Talk]) -> None:
    talk = talking()
    state = lengthened(next(sample for sample in SAMPLES["sample"] if sample["row"] == "roo.env"))
    state = state.replace("# Current Time", "# Actively Running Terminals\n## npm test\n1 failed\n\n# Current Time")
    messages = [user("go", state), assistant("ok"), user("on", state)]
    talk.send({"messages": messages}, client="roo", now=1.0)
    cold = talk.send({"messages": messages}, client="roo", now=1.0 + 3 * HOURS)
    assert texts(cold)[0] == "go"
    assert "## npm test\n1 failed" in texts(cold)[1]
    assert "src/server.ts\n\n# Actively" in texts(cold)[1]
    assert "Current Time" not in texts(cold)[1]


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"strip_when_cold": False}, {}),
        ({"strip_ide_boilerplate": False}, {}),
        ({}, {"bypass": True}),
        ({}, {"client_headers": {"x-gateway-strict": "1"}}),
        ({}, {"client": "copilot"}),
    ],
)
def test_where_nothing_may_be_lost_the_cold_changes_nothing(
    talking: Callable[..., Talk], settings: dict[str, Any], fields: dict[str, Any]
) -> None:
    talk = talking(**settings)
    state = lengthened(next(sample for sample in SAMPLES["sample"] if sample["row"] == "cline-legacy.env"))
    request = {"messages": [user(state), assistant("ok"), user(state)]}
    fields = {"client": "cline"} | fields
    talk.send(request, now=1.0, **fields)
    assert talk.send(request, now=1.0 + 3 * HOURS, **fields) == request
    assert talk.noted == []


def test_what_was_sent_stays_sent_whatever_the_settings_are_now(talking: Callable[..., Talk]) -> None:
    talk = talking()
    request = {"messages": [user(RULES), assistant("ok"), user(f"{RULES}\nfix it")]}
    first = talk.send(request, client="copilot")
    later = {"messages": [*request["messages"], assistant("done"), user(f"{RULES}\nthanks")]}
    again = talk.send(later, client="copilot", bypass=True)
    assert again["messages"][:3] == first["messages"]
    assert again["messages"][3:] == later["messages"][3:]


def test_copies_in_a_frozen_prefix_are_found(talking: Callable[..., Talk]) -> None:
    talk = talking()
    messages: list[Json] = []
    for turn in range(5):
        messages += [user(f"{RULES}\nturn {turn}"), assistant("ok")]
        sent = talk.send({"messages": messages[:-1]}, client="copilot")
    assert [text.startswith("[cgw repeat ") for text in texts(sent)[::2]] == [False, True, True, True, True]
    assert expand(sent) == {"messages": messages[:-1]}


def test_aiders_reminder_leans_on_its_system_prompt(talking: Callable[..., Talk]) -> None:
    rules = "# *SEARCH/REPLACE block* Rules:\n\n" + "Every block must use this format.\n" * 10
    request = {
        "system": f"Act as an expert software developer.\n\n{rules}",
        "messages": [user(f"Rename it.\n\n{rules}"), {"role": "system", "content": rules}],
    }
    sent = talking().send(request, client="aider")
    assert sent["system"] == request["system"]
    assert texts(sent)[0].startswith("Rename it.\n\n[cgw repeat ")
    assert texts(sent)[1].startswith("[cgw repeat ")
    assert expand(sent) == {**request, "messages": [*request["messages"][:1], {"role": "system", "content": [
        {"type": "text", "text": rules}
    ]}]}  # fmt: skip


def test_another_clients_boilerplate_is_left_alone(talking: Callable[..., Talk]) -> None:
    request = {"messages": [user(RULES), assistant("ok"), user(RULES)]}
    assert talking().send(request, client="cursor") == request


def test_a_row_of_ones_own_acts(talking: Callable[..., Talk]) -> None:
    own = {"id": "mine.banner", "begin": "=== banner", "end": "=== end", "class": "A"}
    banner = "=== banner\n" + "be good\n" * 40 + "=== end"
    request = {"messages": [user(banner), assistant("ok"), user(banner)]}
    assert texts(talking(boilerplate=[own]).send(request))[-1].startswith("[cgw repeat ")


def test_a_row_that_cannot_be_used_keeps_the_sidecar_from_starting(talking: Callable[..., Talk]) -> None:
    with pytest.raises(ValidationError, match=r"\[\[boilerplate\]\] 1 \(`mine`\) has no `begin`"):
        talking(boilerplate=[{"id": "mine", "class": "A"}])


def test_a_decision_says_what_was_told_by_markers(talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.send({"messages": [user(RULES), assistant("ok"), user(RULES)]}, client="copilot")
    assert talk.decided == ["boilerplate: told by a marker: copilot.reminder"]
    assert talk.exchange.decisions[0].numbers["characters"] > 100  # type: ignore[operator]


def test_more_text_than_may_be_looked_through_passes_as_it_is(
    talking: Callable[..., Talk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("addons.boilerplate.WORK", 300)
    talk = talking()
    request = {"messages": [user(RULES), assistant("ok"), user(RULES)]}
    assert talk.send(request, client="copilot") == request
    assert "too much text" in talk.decided[0]


def test_requests_of_one_conversation_beside_each_other_take_nothing_for_their_own(
    talking: Callable[..., Talk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of agents that a client starts side by side in one session."""
    talk = talking()
    main = [user(RULES), assistant("ok"), user(RULES)]
    talk.send({"messages": main}, client="copilot")
    begun, may_go_on = threading.Event(), threading.Event()

    def waiting(text: str, *rest: Any, **more: Any) -> list[Segment]:
        if text.endswith("of the agent"):
            begun.set()
            may_go_on.wait(10)
        return segments_in(text, *rest, **more)

    monkeypatch.setattr("addons.boilerplate.ON_THE_LOOP", 0)
    monkeypatch.setattr("addons.boilerplate.segments_in", waiting)
    agent = {"messages": [user(RULES + " of the agent")]}
    request = {"messages": [*main, assistant("ok"), user(RULES)]}

    async def beside_each_other() -> Json:
        one, other = (
            an_exchange(request=asked, client="copilot", conversation="c", project="web") for asked in (agent, request)
        )
        for exchange in (one, other):
            await talk.memory.request(exchange)
        [layer] = talk.layers
        assert isinstance(layer, Boilerplate)
        first = asyncio.create_task(layer.request(one))
        await asyncio.to_thread(begun.wait, 10)
        await layer.request(other)
        may_go_on.set()
        await first
        assert one.prompt is not None
        return one.prompt.assemble(agent, takes_mid_system=True)

    assert asyncio.run(beside_each_other()) == agent


words = st.sampled_from(
    [RULES, RULES.replace("care", "love"), "fix it", "[cgw repeat ", "<reminderInstructions>", "\n"]
)


@given(st.lists(st.tuples(st.lists(words, min_size=1, max_size=4).map("".join), st.booleans()), min_size=1, max_size=5))
@examples(max_examples=40)
def test_each_turn_goes_on_from_the_one_before_and_expands_to_what_the_client_wrote(
    tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[str, bool]]
) -> None:
    talk = Talk(tmp_path_factory.mktemp("home"), Boilerplate)
    messages: list[Json] = []
    before: list[Json] = []
    for text, bypass in turns:
        messages.append(user(text))
        sent = talk.send({"messages": messages}, client="copilot", bypass=bypass)
        assert sent["messages"][: len(before)] == before
        assert expand(sent) == {"messages": messages}
        before = sent["messages"]
        messages.append(assistant("ok"))
    talk.close()


def test_words_that_read_like_a_marker_are_said_to_be_written_so(talking: Callable[..., Talk]) -> None:
    talk = talking()
    marker = texts(talk.send({"messages": [user(RULES), assistant("ok"), user(RULES)]}, client="copilot"))[-1]
    quoted = {"messages": [user(RULES), assistant("What did you get?"), user(marker)]}
    sent = talk.send(quoted, client="copilot")
    assert texts(sent)[-1].startswith("[cgw as written ")
    assert expand(sent) == quoted


@pytest.mark.parametrize("text", ["go", "[cgw repeat x", "[cgw as written 0123456789]\nyes", "<a>\nb\n</a>\n" * 4])
def test_what_is_too_short_to_be_looked_into_goes_as_if_it_had_been(
    talking: Callable[..., Talk], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    request: Json = {"messages": [user(text)]}
    sent = talking().send(request)
    monkeypatch.setattr(boilerplate, "SHORTEST_REPEATED", 0)
    assert talking().send(request) == sent
