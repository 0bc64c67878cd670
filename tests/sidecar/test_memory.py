"""Conversations found again: what was sent stays sent, over turns, restarts and settings."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.conversation import flattened, texts_of, with_texts
from sidecar.exchange import Exchange, Usage
from sidecar.line_format import decode_line, encode_head, encode_segment, head_of
from sidecar.memory import ConversationMemory
from sidecar.stretch import LONG
from tests.support.exchanges import an_exchange


class Shelf(dict[str, bytes]):
    """A store in a dict."""

    def lacks(self, key: str) -> bool:
        return False

    def put(self, key: str, value: bytes | Callable[[], bytes], ttl_seconds: float, *, project: str) -> None:
        self[key] = value if isinstance(value, bytes) else value()


class LateShelf(Shelf):
    """Writes when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, bytes | Callable[[], bytes]]] = []

    def put(self, key: str, value: bytes | Callable[[], bytes], ttl_seconds: float, *, project: str) -> None:
        self.waiting.append((key, value))

    def write(self) -> None:
        for key, value in self.waiting:
            super().put(key, value, 0, project="web")


def turn(memory: ConversationMemory, request: dict[str, Any], *, edit: str = "", **fields: Any) -> list[Any]:
    """One request and its acceptance; `edit` is what a layer puts behind every new text. What went upstream."""
    request = orjson.loads(orjson.dumps(request))
    exchange = an_exchange(request=request, project="web", conversation="c", **fields)
    asyncio.run(memory.request(exchange))
    prompt = exchange.prompt
    assert prompt is not None
    if edit:
        for index in prompt.live:
            block = prompt.block(index)
            if block is not None and (texts := texts_of(block)):
                prompt.replace(index, with_texts(block, [text + edit for text in texts]), "size_limits")
    sent = prompt.assemble(request, takes_mid_system=True)
    accept(memory, exchange)
    return flat(sent)


def accept(memory: ConversationMemory, exchange: Exchange) -> None:
    exchange.usage = Usage(input_tokens=100)
    memory.accepted(exchange)


def flat(request: dict[str, Any]) -> list[Any]:
    """The blocks of a request in order, whatever form they were written in."""
    blocks: list[Any] = [*request.get("tools", ())]
    for role, content in [
        ("system", request.get("system", [])),
        *((m["role"], m["content"]) for m in request["messages"]),
    ]:
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            blocks += [(role, block)]
    return blocks


def talk(*texts: str, **fields: Any) -> dict[str, Any]:
    """A conversation in which the user and the assistant take turns."""
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)], **fields}


async def test_bytes_of_a_long_conversation_that_is_read_anew_are_kept_once() -> None:
    memory = ConversationMemory()
    long = talk("go", "x" * LONG, "and on")
    body = orjson.dumps(long)
    first = an_exchange(request=long, client_body=body, project="web", conversation="c")
    await memory.request(first)
    accept(memory, first)
    longer = orjson.loads(orjson.dumps(talk("go", "x" * LONG, "and on", "yes", "then on")))
    anew = an_exchange(request=longer, client_body=orjson.dumps(longer), project="web", conversation="c")
    await memory.request(anew)
    assert anew.prompt is not None
    assert anew.prompt.line is not None
    known, now = anew.prompt.line.sent, anew.prompt.positions
    assert anew.prompt.frozen == len(known) == 3
    assert all(at.raw is sent.raw for at, sent in zip(now, known, strict=False))
    untouched = flattened(longer, "web")
    assert untouched is not None
    assert now == untouched.positions


edits = st.lists(st.sampled_from(["", " [cut]", " [else]"]), min_size=2, max_size=5)


@settings(max_examples=60, deadline=None)
@given(edits, st.lists(st.booleans(), min_size=5, max_size=5), st.data())
def test_what_was_sent_is_always_sent_again_over_restarts_and_changed_settings(
    edits: list[str], restarts: list[bool], data: st.DataObject
) -> None:
    shelf = Shelf()
    memory = ConversationMemory(shelf)
    texts = ["task"]
    before: list[Any] = []
    for edit, restart in zip(edits, restarts, strict=False):
        if restart:
            memory = ConversationMemory(shelf)
        sent = turn(memory, talk(*texts, system="be brief"), edit=edit)
        assert sent[: len(before)] == before
        before = sent
        texts += [data.draw(st.text("ab", min_size=1, max_size=3)) for _ in range(2)]


@pytest.mark.parametrize(("now", "cold"), [(1_500.0, False), (4_000.0, True)])
def test_a_cache_that_the_client_asked_for_as_a_whole_is_warm_as_long_as_it_asked(now: float, cold: bool) -> None:
    memory = ConversationMemory()
    automatic = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    turn(memory, talk("task", **automatic), now=1.0)
    exchange = an_exchange(request=talk("task", "answer", "more", **automatic), project="web", now=now)
    asyncio.run(memory.request(exchange))
    assert exchange.prompt is not None
    assert exchange.prompt.cold is cold


def test_a_bypassed_turn_still_sends_what_was_sent_before() -> None:
    memory = ConversationMemory()
    first = turn(memory, talk("task"), edit=" [cut]")
    second = turn(memory, talk("task", "answer", "more"), bypass=True)
    assert second[:1] == first
    assert second[2] == ("user", {"type": "text", "text": "more"})


def test_a_fork_shares_what_was_sent_before_it_and_nothing_after() -> None:
    memory = ConversationMemory()
    turn(memory, talk("task"), edit=" [1]")
    turn(memory, talk("task", "answer", "more"), edit=" [2]")
    forked = turn(memory, talk("task", "answer", "else"), edit=" [3]")
    assert [block["text"] for _, block in forked] == ["task [1]", "answer [2]", "else [3]"]
    again = turn(memory, talk("task", "answer", "more", "yes", "go"), edit=" [4]")
    assert [block["text"] for _, block in again] == ["task [1]", "answer [2]", "more [2]", "yes [4]", "go [4]"]


def test_projects_know_nothing_of_each_other() -> None:
    memory = ConversationMemory()
    turn(memory, talk("task"), edit=" [cut]")
    exchange = an_exchange(request=talk("task"), project="app")
    asyncio.run(memory.request(exchange))
    assert exchange.prompt is not None
    assert exchange.prompt.frozen == 0


def test_two_sessions_of_the_same_words_are_two_conversations() -> None:
    memory = ConversationMemory()
    turn(memory, talk("task"), edit=" [cut]", client_headers={"x-session-id": "one"})
    exchange = an_exchange(request=talk("task"), project="web", client_headers={"x-session-id": "two"})
    asyncio.run(memory.request(exchange))
    assert exchange.prompt is not None
    assert exchange.prompt.line is None


def test_what_changed_in_the_system_prompt_is_told_for_repair_even_after_a_restart() -> None:
    shelf = Shelf()
    turn(ConversationMemory(shelf), talk("task", system="10:01"))
    exchange = an_exchange(request=talk("task", "answer", "more", system="10:02"), project="web")
    asyncio.run(ConversationMemory(shelf).request(exchange))
    assert exchange.prompt is not None
    assert [change.frozen for change in exchange.prompt.repairable] == [{"type": "text", "text": "10:01"}]


def test_a_changed_first_message_is_found_by_the_answers_behind_it() -> None:
    memory = ConversationMemory()
    turn(memory, talk("state 1", "an answer", "more"))
    exchange = an_exchange(request=talk("state 2", "an answer", "more", "yes", "go"), project="web")
    asyncio.run(memory.request(exchange))
    assert exchange.prompt is not None
    assert [change.index for change in exchange.prompt.repairable] == [0]


def test_a_repaired_conversation_is_kept_with_its_repair() -> None:
    shelf = Shelf()
    memory = ConversationMemory(shelf)
    turn(memory, talk("task", system="10:01"))
    request = talk("task", "answer", "more", system="10:02")
    exchange = an_exchange(request=request, project="web")
    asyncio.run(memory.request(exchange))
    assert exchange.prompt is not None
    exchange.prompt.mend(["it is 10:02"], as_system=True)
    accept(memory, exchange)
    later = talk("task", "answer", "more", "yes", "go", system="10:02")
    sent = turn(ConversationMemory(shelf), later)
    assert sent[0] == ("system", {"type": "text", "text": "10:01"})
    assert ("system", {"type": "text", "text": "it is 10:02"}) in sent


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (talk("hi"), "count_tokens"),
        ({**talk("hi"), "thread": {"create": {}}}, "generate"),
        ({"messages": 7}, "generate"),
    ],
)
def test_what_is_no_turn_of_ours_has_no_prompt(request_: dict[str, Any], kind: str) -> None:
    exchange = an_exchange(request=request_, kind=kind)
    asyncio.run(ConversationMemory().request(exchange))
    assert exchange.prompt is None


def test_reductions_are_opt_in_where_the_client_returns_signed_thinking() -> None:
    thinking = {"type": "thinking", "thinking": "", "signature": "s"}
    request = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [thinking]}]}
    for opted_in in (False, True):
        exchange = an_exchange(request=request)
        asyncio.run(ConversationMemory(reduce_with_thinking=opted_in).request(exchange))
        assert exchange.reduces is opted_in


def test_a_repaired_conversation_is_remembered_when_its_thinking_was_refused() -> None:
    memory = ConversationMemory()
    turn(memory, talk("task", system="10:01"))
    refused = an_exchange(request=talk("task", "answer", "more", system="10:02"), project="web")
    asyncio.run(memory.request(refused))
    assert refused.prompt is not None
    refused.prompt.mend(["it is 10:02"], as_system=False)
    refused.prompt.put_back(2, [{"type": "thinking", "thinking": "", "signature": "s"}], 10)
    refused.prompt.leave_out_thinking()
    accept(memory, refused)
    for clock, frozen, first_sent in (("10:02", 4, []), ("10:03", 0, ["10:01"])):
        later = an_exchange(request=talk("task", "answer", "more", "yes", "go", system=clock), project="web")
        asyncio.run(memory.request(later))
        prompt = later.prompt
        assert prompt is not None
        assert prompt.line is not None
        assert prompt.line.thinking_off
        assert (prompt.frozen, [change.frozen["text"] for change in prompt.repairable]) == (frozen, first_sent)


def test_what_was_taken_back_is_gone_from_the_store_too() -> None:
    shelf = Shelf()
    memory = ConversationMemory(shelf)
    texts = ["task"]
    for number in range(6):
        turn(memory, talk(*texts), edit=" [cut]" if number == 1 else "")
        texts += [f"answer {number}", f"more {number}"]
    quoted = an_exchange(request=talk(*texts), project="web")
    asyncio.run(memory.request(quoted))
    assert quoted.prompt is not None
    accept(memory, quoted)
    quoted.prompt.take_back()
    memory.taken_back(quoted)
    forked = turn(ConversationMemory(shelf), talk(*texts[:5], "answer", "else"))
    assert [block["text"] for _, block in forked] == [*texts[:5], "answer", "else"]


def test_a_held_out_conversation_stays_held_out_when_the_share_changes() -> None:
    memory = ConversationMemory(holdout_percent=100)
    first = an_exchange(request=talk("task"), project="web")
    asyncio.run(memory.request(first))
    accept(memory, first)
    memory._holdout_percent = 0
    second = an_exchange(request=talk("task", "answer", "more"), project="web")
    asyncio.run(memory.request(second))
    assert (second.holdout, second.bypass, second.reduces) == (True, True, False)


def test_memory_is_bounded_and_the_store_has_what_it_forgot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.memory.MOST_LINES", 3)
    shelf = Shelf()
    memory = ConversationMemory(shelf)
    for number in range(10):
        turn(memory, talk(f"task {number}"), edit=" [cut]")
    assert len(memory) == 3
    assert turn(memory, talk("task 0", "answer", "more"))[0] == ("user", {"type": "text", "text": "task 0 [cut]"})


def test_after_a_restart_each_line_is_read_once_however_many_keys_lead_to_it() -> None:
    class CountingShelf(Shelf):
        def __init__(self) -> None:
            self.asked: Counter[str] = Counter()

        def get(self, key: str, default: Any = None) -> Any:
            self.asked[key] += 1
            return super().get(key, default)

    shelf = CountingShelf()
    memory = ConversationMemory(shelf)
    session = {"x-session-id": "one"}
    for texts in (("task",), ("task", "answer", "more"), ("task", "answer", "else")):
        turn(memory, talk(*texts), client_headers=session)
    memory, shelf.asked = ConversationMemory(shelf), Counter()
    turn(memory, talk("task", "answer", "else", "yes", "go"), client_headers=session)
    assert len(memory) == 2
    assert {key: times for key, times in shelf.asked.items() if times > 1} == {}


def test_what_is_remembered_of_the_store_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.memory.MOST_ASKED", 10)
    memory = ConversationMemory(Shelf())
    for number in range(40):
        asyncio.run(memory.request(an_exchange(request=talk(f"task {number}"), project="web")))
    assert len(memory._asked) <= 11


def test_a_line_that_is_forgotten_while_its_request_is_under_way_is_kept_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidecar.memory.MOST_LINES", 1)
    shelf = Shelf()
    memory = ConversationMemory(shelf)
    turn(memory, talk("task"), edit=" [cut]")
    under_way = an_exchange(request=talk("task", "answer", "more"), project="web")
    asyncio.run(memory.request(under_way))
    turn(memory, talk("another task"))
    accept(memory, under_way)
    later = turn(ConversationMemory(shelf), talk("task", "answer", "more", "yes", "go"))
    assert later[0] == ("user", {"type": "text", "text": "task [cut]"})


@pytest.mark.parametrize(("task", "part"), [("task", "line/"), ("task " * 1_000, "segment/")])
def test_a_line_that_cannot_be_read_is_a_new_conversation(task: str, part: str) -> None:
    shelf = Shelf()
    turn(ConversationMemory(shelf), talk(task), edit=" [cut]")
    [key] = [key for key in shelf if key.startswith(part)]
    shelf[key] = b"\x80broken"
    assert turn(ConversationMemory(shelf), talk(task))[0] == ("user", {"type": "text", "text": task})


def test_a_short_conversation_is_one_entry_until_it_goes_on() -> None:
    shelf = Shelf()
    turn(ConversationMemory(shelf), talk("task"), edit=" [cut]")
    assert {key.partition("/")[0] for key in shelf} == {"line", "group"}
    for words in (["task", "answer", "more"], ["task", "answer", "more", "yes", "go"]):
        assert turn(ConversationMemory(shelf), talk(*words))[0] == ("user", {"type": "text", "text": "task [cut]"})
    assert sum(key.startswith("segment/") for key in shelf) == 2


def test_the_store_is_told_of_a_group_when_it_changes_and_once_a_day() -> None:
    shelf = LateShelf()
    memory = ConversationMemory(shelf)

    def groups_told(now: float, *texts: str) -> int:
        shelf.waiting.clear()
        turn(memory, talk(*texts), now=now)
        return sum(key.startswith("group/") for key, _ in shelf.waiting)

    assert groups_told(1_000.0, "task") == 1, "by its first words"
    assert groups_told(2_000.0, "task", "one", "more") == 1, "by the answer that is new"
    assert groups_told(88_000.0, "task", "one", "more", "two", "more") == 2, "by its first words once more"
    assert groups_told(89_000.0, "task", "one", "else") == 2, "of the fork, by all that leads there"


def test_a_head_is_written_as_the_line_was() -> None:
    shelf = LateShelf()
    memory = ConversationMemory(shelf)
    turn(memory, talk("task"))
    (_, head), *_ = shelf.waiting
    turn(memory, talk("task", "answer", "more"))
    assert not isinstance(head, bytes)
    told = orjson.loads(head())
    assert (told["positions"], len(told["sent"]), len(told["requests"])) == (1, 1, 1)


def test_a_line_is_read_back_as_it_was_written() -> None:
    memory = ConversationMemory()
    turn(memory, talk("task", system="s"), edit=" [cut]")
    turn(memory, talk("task", "answer", "more", system="s"))
    [line] = memory._lines.values()
    assert decode_line(line.id, encode_head(head_of(line, 1)), [encode_segment(line.sent)]) == line


def test_a_line_that_went_on_before_it_was_written_is_read_back_whole() -> None:
    shelf = LateShelf()
    memory = ConversationMemory(shelf)
    turn(memory, talk("task", system="10:01"), edit=" [cut]")
    exchange = an_exchange(request=talk("task", "answer", "more", system="10:02"), project="web")
    asyncio.run(memory.request(exchange))
    assert exchange.prompt is not None
    exchange.prompt.mend(["it is 10:02"], as_system=False)
    accept(memory, exchange)
    [line] = memory._lines.values()
    shelf.write()
    segments = [shelf[key] for key in sorted(shelf) if key.startswith("segment/")]
    assert decode_line(line.id, shelf[f"line/{line.id}"], segments) == line


def test_of_two_conversations_that_read_alike_the_one_with_less_changed_goes_on() -> None:
    memory = ConversationMemory()
    for state in ("state A", "state B"):
        opening = {"role": "user", "content": [{"type": "text", "text": "task"}, {"type": "text", "text": state}]}
        for rest in ((), ("answer", "more")):
            request = talk("x", *rest, system="10:01")
            request["messages"][0] = opening
            turn(memory, request)
    request = talk("x", "answer", "more", "yes", "go", system="10:02")
    request["messages"][0] = {
        "role": "user",
        "content": [{"type": "text", "text": "task"}, {"type": "text", "text": "state A"}],
    }
    exchange = an_exchange(request=request, project="web")
    asyncio.run(memory.request(exchange))
    assert exchange.prompt is not None
    assert [change.index for change in exchange.prompt.repairable] == [0]


def test_a_conversation_that_shares_only_tools_with_a_held_out_one_is_another() -> None:
    memory = ConversationMemory(holdout_percent=100)
    tools = [{"name": "read"}]
    first = an_exchange(request=talk("task", "answer", "more", tools=tools, system="a"), project="web")
    asyncio.run(memory.request(first))
    accept(memory, first)
    memory._holdout_percent = 0
    second = an_exchange(request=talk("task", "other", "more", tools=tools, system="b"), project="web")
    asyncio.run(memory.request(second))
    assert second.prompt is not None
    assert (second.prompt.frozen, second.holdout) == (1, False)
    accept(memory, second)
    assert second.prompt.line is not None
    assert not second.prompt.line.holdout
