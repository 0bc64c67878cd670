"""Thinking given back to a Claude that judges it by the documented rules, whatever else happens to the conversation."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addons.thinking_memory import ThinkingMemory
from sidecar.assembly import Assembly
from sidecar.call import Call
from sidecar.config import Settings
from sidecar.conversation import THINKING, unmarked
from sidecar.dialects.anthropic_messages import stream_of
from sidecar.exchange import Exchange, Json, Usage
from sidecar.home import Home
from sidecar.memory import ConversationMemory
from sidecar.models.catalogue import Catalogue
from sidecar.pipeline import Pipeline
from sidecar.projects.policy import Policy
from sidecar.services import Services
from sidecar.simulator.answers import Answer, Part, RedactedThinking, Text, Thinking, ToolCall
from sidecar.simulator.composing import compose
from sidecar.simulator.models import find
from sidecar.simulator.thinking_rules import ResponseMemory
from sidecar.simulator.validation import validate
from tests.support.exchanges import an_exchange
from tests.support.talks import result, user

OPUS, SONNET, OLD = "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5-20251001"
HEADERS = {"anthropic-version": "2026-10-21"}
TOOL: Json = {"name": "read_file", "input_schema": {"type": "object"}}
CATALOGUE = Catalogue()


class Shelf(dict[str, bytes]):
    """A store and its writer in a dict."""

    @property
    def writer(self) -> Shelf:
        return self

    def lacks(self, key: str) -> bool:
        return False

    def put(self, key: str, value: bytes | Callable[[], bytes], ttl_seconds: float, *, project: str) -> None:
        self[key] = value() if callable(value) else value

    def delete(self, key: str) -> None:
        self.pop(key, None)


class Disturbances:
    """A layer that does what others may do before thinking is put back."""

    def __init__(self) -> None:
        self.wanted: set[str] = set()

    def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        assert prompt is not None
        if "thaw" in self.wanted:
            prompt.thaw()
        if "cut" in self.wanted:
            for index in prompt.live:
                if prompt.positions[index].role == "user":
                    prompt.replace(index, {**prompt.positions[index].block, "cut": True}, "size_limits")
        if "cut the answer" in self.wanted:
            for index in prompt.live:
                if prompt.positions[index].kind == "text" and prompt.positions[index].role == "assistant":
                    prompt.replace(index, {**prompt.positions[index].block, "cut": True}, "size_limits")
        if "told" in self.wanted and prompt.live:
            prompt.append("Mind this.", "diff_first")


class SaysOnce:
    """A user's addon, or `fit`, that says something at the end of one request alone."""

    def __init__(self, disturbances: Disturbances) -> None:
        self._disturbances = disturbances

    def request(self, exchange: Exchange) -> None:
        if "said once" in self._disturbances.wanted:
            *before, last = exchange.request["messages"]
            content = [*last["content"], {"type": "text", "text": "Answer in verse."}]
            exchange.request = {**exchange.request, "messages": [*before, {**last, "content": content}]}


class Conversation:
    """A stateless client, the layers, and a Claude that refuses thinking that does not belong where it stands."""

    def __init__(self) -> None:
        self.conversations, self.thoughts = Shelf(), Shelf()
        self.claude = ResponseMemory()
        self.history: list[Json] = [user("task")]
        self.sent: list[Json] = []
        """What the newest request sent, block by block, markers and what was said only once aside."""
        self.answered: list[Json] = []
        self.thought_by: dict[str, str] = {}
        """The model of each signature."""
        self.exchange: Exchange = an_exchange()
        self._asked = 0
        self.disturbances = Disturbances()
        self.restart()

    async def restarted(self) -> None:
        await asyncio.sleep(0.001)  # what ended is written down
        self.restart()

    def restart(self) -> None:
        self.memory = ConversationMemory(self.conversations)
        services = Services(
            settings=Settings(),
            home=Home(Path()),
            catalogue=CATALOGUE,
            prices=cast(Any, None),
            memory=self.memory,
            files=cast(Any, None),
            shelves=cast(Any, lambda *_: self.thoughts),
            pace=cast(Any, None),
            replies=cast(Any, None),
            api_version=cast(Any, None),
            fallbacks=cast(Any, None),
        )
        self.layer = ThinkingMemory(services)
        self._pipeline = Pipeline(
            [self.memory, self.disturbances, self.layer, Assembly(CATALOGUE), SaysOnce(self.disturbances)]
        )

    async def ask(
        self,
        parts: tuple[Part, ...],
        *,
        model: str = OPUS,
        complete: bool = True,
        hold: asyncio.Event | None = None,
        **fields: Any,
    ) -> list[Json]:
        """One request, and Claude's answer of these parts. The blocks of it that the client keeps. With `hold`, the
        answer's last bytes come when it is set."""
        self._asked += 1
        written: Json = {"model": model, "max_tokens": 9_000, "tools": [TOOL], "messages": self.history}
        request = orjson.loads(orjson.dumps({**written, **fields.pop("request", {})}))
        self.exchange = exchange = an_exchange(
            request=request, model=model, project="web", conversation="c", now=float(self._asked), **fields
        )
        await self._pipeline.request(exchange)
        assert not exchange.failed_addons
        row = validate(_without_cuts(exchange.request), HEADERS, self.claude)
        assert exchange.prompt is not None
        self.sent = _blocks(exchange.prompt.assemble(request, takes_mid_system=True))
        exchange.message_id = f"msg_{self._asked}_{hashlib.sha256(orjson.dumps(request)).hexdigest()[:8]}"
        known = find(model)
        assert known is not None
        answer = compose(_without_cuts(exchange.request), Answer(parts), known, exchange.message_id)
        self.answered = answer.blocks
        self.thought_by |= {_signature(block): model for block in answer.blocks if block["type"] in THINKING}
        self.claude.remember(exchange.message_id, row, answer.blocks)
        exchange.usage = Usage(input_tokens=500, thinking_tokens=answer.thinking_tokens)
        self.memory.accepted(exchange)
        await self._stream(exchange, answer.blocks, complete=complete, hold=hold)
        return [block for block in answer.blocks if block["type"] not in THINKING]

    async def _stream(
        self, exchange: Exchange, blocks: list[Json], *, complete: bool, hold: asyncio.Event | None
    ) -> None:
        message: Json = {"id": exchange.message_id, "content": blocks, "stop_reason": "end_turn", "usage": {}}
        call = exchange.call
        assert isinstance(call, Call) or exchange.bypass or exchange.policy.switches
        if call is None:
            return
        reader = call.join()

        async def work() -> None:
            exchange.stop_reason = "end_turn"
            await call.write(stream_of(message))
            if hold is not None:
                await hold.wait()
            if not complete:
                raise ConnectionError("cut")

        call.begin(work())
        with suppress(ConnectionError):
            while await call.read(reader) is not None:
                if hold is not None:
                    return
        call.leave(reader)

    def go_on(self, kept: list[Json]) -> None:
        """The client sends the answer back with the results of its calls, or else with more words."""
        calls = [block["id"] for block in kept if block["type"] == "tool_use"]
        self.history = [
            *self.history,
            {"role": "assistant", "content": _merged(kept)},
            user(*(result(call, "x" * 50) for call in calls)) if calls else user(f"more {self._asked}"),
        ]

    def rewind(self) -> None:
        """The user says something else than before; what tools said stays."""
        if len(self.history) > 2:
            *before, last = self.history[:-2]
            results = [block for block in last["content"] if block["type"] == "tool_result"]
            self.history = [*before, user(*results, f"else {self._asked}")]

    @property
    def thinking_sent(self) -> list[Json]:
        return [block for block in self.sent if block["type"] in THINKING]


def _signature(block: Json) -> str:
    return str(block.get("signature") or block.get("data"))


def _without_cuts(request: Json) -> Json:
    """As Claude gets it: what the cut says is no field of its own."""
    messages: list[Json] = [
        {**message, "content": [_cut(block) for block in message["content"]]} for message in request["messages"]
    ]
    return {**request, "messages": messages}


def _cut(block: Json) -> Json:
    if not block.get("cut"):
        return block
    bare = {name: value for name, value in block.items() if name != "cut"}
    return {**bare, "text": "cut"} if block["type"] == "text" else {**bare, "content": "cut"}


def _blocks(request: Json) -> list[Json]:
    return [unmarked(block)[0] for message in request["messages"] for block in message["content"]]


def _merged(blocks: list[Json]) -> list[Json]:
    """As OpenAI's form has it: all words first, in one text, then the calls."""
    words = "".join(block["text"] for block in blocks if block["type"] == "text")
    return [*([{"type": "text", "text": words}] if words else ()), *(b for b in blocks if b["type"] == "tool_use")]


@pytest.fixture
def talk() -> Conversation:
    return Conversation()


THOUGHT = Thinking("hm", tokens=40)
READS = ToolCall("read_file", {"path": "a"})

WELL = Text("Well.")
LAYOUTS: list[tuple[Part, ...]] = [
    (THOUGHT, WELL),
    (THOUGHT, READS),
    (Thinking("", tokens=9), WELL, READS),
    (THOUGHT, RedactedThinking(), READS, Thinking("", tokens=5), READS),
    (WELL, RedactedThinking(), READS),
    (THOUGHT, WELL, THOUGHT, WELL),
    (THOUGHT, WELL, THOUGHT),
    (WELL,),
]
"""Two texts become one on their way through OpenAI's form, and nothing stands behind the last thinking of some."""


async def test_a_project_decides_for_itself_and_what_was_put_back_before_stays(talk: Conversation) -> None:
    off = Policy(switches={"enable_thinking_memory": False})
    for _ in range(2):
        talk.go_on(await talk.ask((THOUGHT, READS)))
    [before] = talk.thinking_sent
    for _ in range(2):
        talk.go_on(await talk.ask((THOUGHT, READS), policy=off))
        assert talk.thinking_sent == [before]
    talk.go_on(await talk.ask((THOUGHT, READS)))
    await talk.ask((WELL,))
    assert len(talk.thinking_sent) == 2, "kept and put back again since it is on"


layouts = st.sampled_from(LAYOUTS)
HAPPENINGS = (
    *("thaw", "cut", "cut the answer", "told", "said once"),
    *("restart", "bypass", "retry", "rewind", "cut short", "edited", "another model"),
    *("nothing", "nothing", "nothing"),
)
turns = st.lists(st.tuples(layouts, st.sets(st.sampled_from(HAPPENINGS), max_size=2)), min_size=3, max_size=6)


@settings(max_examples=60, deadline=None)
@given(turns)
def test_claude_never_refuses_what_is_put_back_and_what_was_sent_stays_sent(turns: list[Any]) -> None:
    async def live() -> None:
        talk = Conversation()
        before: list[Json] = []
        for parts, happens in turns:
            if "restart" in happens:
                await talk.restarted()
            if "rewind" in happens:
                talk.rewind()
            talk.disturbances.wanted = happens
            for _ in range(2 if "retry" in happens else 1):
                kept = await talk.ask(
                    parts,
                    model=SONNET if "another model" in happens else OPUS,
                    complete="cut short" not in happens,
                    bypass="bypass" in happens,
                )
                if not happens & {"thaw", "rewind"}:
                    assert talk.sent[: len(before)] == before
                model = talk.exchange.model
                assert all(talk.thought_by[_signature(one)] == model for one in talk.thinking_sent if one not in before)
                before = talk.sent
            if "edited" in happens:
                kept = [{**block, "text": block["text"] + "!"} if "text" in block else block for block in kept]
            talk.go_on(kept)

    asyncio.run(live())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(layouts, st.booleans()), min_size=2, max_size=6))
def test_every_answer_whose_blocks_come_back_one_by_one_gets_its_thinking(answers: list[Any]) -> None:
    async def live() -> None:
        talk = Conversation()
        expected: list[Json] = []
        for parts, restart in answers:
            if restart:
                await talk.restarted()
            talk.go_on(await talk.ask((*(part for part in parts if not isinstance(part, Text)), READS)))
            expected += [block for block in talk.answered if block["type"] in THINKING]
        await talk.ask((Text("Done."),))
        assert talk.thinking_sent == expected

    asyncio.run(live())


async def test_thinking_is_there_for_a_request_that_comes_before_the_last_bytes_of_the_answer(
    talk: Conversation,
) -> None:
    talk.go_on(await talk.ask((THOUGHT, READS), hold=(held := asyncio.Event())))
    asking = asyncio.create_task(talk.ask((WELL,)))
    await asyncio.sleep(0.01)
    assert not asking.done()
    held.set()
    await asking
    assert len(talk.thinking_sent) == 1


async def test_an_answer_that_broke_off_is_not_waited_for(talk: Conversation) -> None:
    talk.go_on(await talk.ask((THOUGHT, READS), complete=False))
    await talk.ask((WELL,))
    assert talk.thinking_sent == []


async def test_models_that_forget_thinking_get_it_only_between_calls(talk: Conversation) -> None:
    for parts in ((THOUGHT, READS), (THOUGHT, WELL), (THOUGHT, READS), (WELL,)):
        talk.go_on(await talk.ask(parts, model=OLD))
    assert len(talk.thinking_sent) == 2


async def test_of_several_answers_to_one_request_the_one_that_the_client_goes_on_from_counts(
    talk: Conversation,
) -> None:
    first = await talk.ask((THOUGHT, READS))
    thoughts = talk.answered[:1]
    await talk.ask((RedactedThinking(), READS, READS))
    talk.go_on(first)
    await talk.ask((WELL,))
    assert talk.thinking_sent == thoughts


async def test_what_is_put_back_is_told(talk: Conversation) -> None:
    talk.go_on(await talk.ask((THOUGHT, READS)))
    await talk.ask((WELL,))
    [decision] = talk.exchange.decisions
    assert str(decision) == "thinking_memory: put back what Claude thought before its last answer"
    assert decision.numbers == {"tokens": 40}


async def test_a_long_answer_is_put_together_beside_the_requests(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("addons.thinking_memory.ON_THE_LOOP", 10)
    talk.go_on(await talk.ask((THOUGHT, READS)))
    await talk.ask((WELL,))
    assert len(talk.thinking_sent) == 1


async def test_an_answer_without_thinking_costs_no_look_into_the_store(talk: Conversation) -> None:
    def get(key: str, *_: object) -> None:
        raise AssertionError("the store was asked")

    talk.thoughts.get = get  # type: ignore[method-assign, assignment]  # a store that must not be asked
    for _ in range(3):
        talk.go_on(await talk.ask((READS,)))
    assert not talk.exchange.failed_addons
