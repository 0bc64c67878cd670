"""File references, turn by turn: what goes upstream, what stays as it was, and who is told."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addons import file_references
from addons.file_references import ON_THE_LOOP, FileReferences, Indexed
from sidecar.exchange import Exchange, Json
from sidecar.pipeline import Pipeline
from sidecar.projects.policy import Policy
from sidecar.prompt import Prompt
from sidecar.references.expand import expand
from tests.support import thorough
from tests.support.exchanges import an_exchange
from tests.support.talks import Talk, assistant, call, result, texts, user

LINES = [f"    return line_{number}(of_the_file)" for number in range(40)]
FILE = "\n".join(LINES)


@pytest.fixture
def talking(tmp_path: Path) -> Iterator[Callable[..., Talk]]:
    talks: list[Talk] = []

    def begin(**settings: Any) -> Talk:
        talks.append(Talk(tmp_path, FileReferences, **settings))
        return talks[-1]

    yield begin
    for talk in talks:
        talk.close()


def reads(count: int, content: str = FILE, path: str = "src/app.py") -> Json:
    """A conversation in which a file is read again and again."""
    messages = [user("go")]
    for number in range(count):
        messages += [
            assistant(f"Reading it, {number}.", call(f"t{number}", path=path)),
            user(result(f"t{number}", f"{content}\n# {number}")),
        ]
    return {"messages": messages}


def test_a_file_that_is_read_again_is_told_by_reference(talking: Callable[..., Talk]) -> None:
    talk = talking()
    request = reads(2)
    sent = talk.send(request)
    assert texts(sent)[-1].startswith("[cgw: same 40 lines as src/app.py:1-40 above, ")
    assert texts(sent)[-1].endswith("]\n# 1")
    assert expand(sent) == request
    assert talk.decided == ["file_references: 1 run of lines that Claude has already, told by reference"]


def test_turn_by_turn_what_was_sent_stays_and_what_is_new_refers_to_it(talking: Callable[..., Talk]) -> None:
    talk, before = talking(), []
    for turn in range(1, 6):
        sent = talk.send(reads(turn))
        assert sent["messages"][: len(before)] == before
        assert expand(sent) == reads(turn)
        before = sent["messages"]
    assert sum("[cgw: same 40 lines" in text for text in texts(talk.sent)) == 4


def test_after_a_restart_references_lead_into_the_whole_history(talking: Callable[..., Talk]) -> None:
    talk = talking()
    before = talk.send(reads(2))["messages"]
    layers: list[object] = [talk.memory, FileReferences(talk.services)]
    exchange = an_exchange(request=reads(3), conversation="c", project="web")
    asyncio.run(Pipeline(layers).request(exchange))
    assert exchange.prompt is not None
    sent = exchange.prompt.assemble(exchange.request, takes_mid_system=True)
    assert sent["messages"][: len(before)] == before
    assert texts(sent)[-1].startswith("[cgw: same 40 lines")
    assert expand(sent) == reads(3)


def test_a_fork_refers_only_to_what_it_shares(talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.send(reads(1))
    other = FILE.replace("line", "row")
    gone = reads(1)
    gone["messages"] += [assistant(call("t8")), user(result("t8", other))]
    talk.send(gone)
    forked = reads(1)
    forked["messages"] += [assistant("no", call("t9")), user(result("t9", other))]
    sent = talk.send(forked)
    assert sent == forked
    again = {"messages": [*forked["messages"], assistant(call("t10")), user(result("t10", other))]}
    sent = talk.send(again)
    assert expand(sent) == again
    assert "[cgw: same 40 lines" in texts(sent)[-1]


def test_large_requests_come_out_the_same(talking: Callable[..., Talk]) -> None:
    """They are worked on in a thread."""
    large = "\n".join(f"line {number} of a large file that goes on and on" for number in range(ON_THE_LOOP // 40))
    request = reads(2, large)
    sent = talking(reference_min_chars=200).send(request)
    assert expand(sent) == request
    assert len(orjson.dumps(sent)) < len(orjson.dumps(request)) * 0.6


def test_the_finest_grain_is_a_users_choice(talking: Callable[..., Talk]) -> None:
    few = "\n".join(LINES[:8])
    assert talking().send(reads(2, few)) == reads(2, few)
    assert "[cgw: same 8 lines" in texts(talking(reference_min_chars=200).send(reads(2, few)))[-1]


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"enable_file_hash_cache": False}, {}),
        ({}, {"policy": Policy(switches={"enable_file_hash_cache": False})}),
        ({}, {"bypass": True}),
    ],
    ids=["switched off", "switched off for the project", "bypassed"],
)
def test_whoever_does_not_want_references_gets_none(
    talking: Callable[..., Talk], settings: dict[str, Any], fields: dict[str, Any]
) -> None:
    assert talking(**settings).send(reads(2), **fields) == reads(2)


def test_switching_it_off_leaves_what_was_sent(talking: Callable[..., Talk]) -> None:
    talk = talking()
    before = talk.send(reads(2))["messages"]
    sent = talk.send(reads(3), bypass=True)
    assert sent["messages"] == before + reads(3)["messages"][len(before) :]
    assert expand(sent) == reads(3)


def test_where_a_marker_came_back_in_a_tool_call_there_are_no_more(talking: Callable[..., Talk]) -> None:
    talk = talking()
    before = talk.send(reads(2))["messages"]
    assert talk.exchange.prompt is not None
    assert talk.exchange.prompt.line is not None
    talk.exchange.prompt.line.references_off = True
    assert talk.send(reads(3))["messages"] == before + reads(3)["messages"][len(before) :]


def test_signed_thinking_keeps_a_conversation_as_it_is(talking: Callable[..., Talk]) -> None:
    request = reads(2)
    request["messages"][1]["content"].insert(0, {"type": "thinking", "thinking": "hm", "signature": "s"})
    assert talking().send(request) == request
    assert "[cgw" in texts(talking(reduce_with_thinking=True).send(request))[-1]


def test_requests_of_one_conversation_at_the_same_time_do_not_mix(talking: Callable[..., Talk]) -> None:
    """An editor that asks twice at once; both are large enough for a thread."""
    large = "\n".join(f"line {number} of a large file that goes on and on" for number in range(ON_THE_LOOP // 40))
    talk = talking()
    before = talk.send(reads(1, large))["messages"]
    layers = Pipeline([talk.memory, *talk.layers])
    exchanges = [an_exchange(request=reads(number, large), conversation="c", project="web") for number in (2, 3)]

    async def both() -> None:
        await asyncio.gather(*map(layers.request, exchanges))

    asyncio.run(both())
    for exchange, number in zip(exchanges, (2, 3), strict=True):
        assert exchange.prompt is not None
        sent = exchange.prompt.assemble(exchange.request, takes_mid_system=True)
        assert sent["messages"][: len(before)] == before
        assert "[cgw: same " in texts(sent)[-1]
        assert expand(sent) == reads(number, large)


def test_what_was_too_much_to_look_through_is_said(talking: Callable[..., Talk]) -> None:
    talk = talking()
    request = reads(2, "aaa b\n" * 60_000)
    assert talk.send(request) == request
    assert talk.decided == ["file_references: 2 texts kept as written: too much to look through"]


def test_the_machines_file_cache_hears_of_each_reading_once(talking: Callable[..., Talk]) -> None:
    talk = talking()
    for turn in (1, 2, 3):
        talk.send(reads(turn))
    files = {file.path: file for file in talk.services.files.most_resent(9)}
    assert files == {}  # every reading ended in a line of its own
    request: Json = {"messages": [user("go")]}
    for number in range(3):
        request["messages"] += [assistant(call(f"t{number}", path="a.py")), user(result(f"t{number}", FILE))]
        talk.send(request)
    (file,) = talk.services.files.most_resent(9)
    assert (file.path, file.times) == ("a.py", 3)
    assert 0 < file.tokens < file.saved_tokens < 2 * file.tokens


SHORT = [
    "go",
    "a\nb\nc\nd\ne",
    "[cgw: x",
    "[cgw: as written from here on @aaaaa]\n",
    "```a=b\n1\n2\n3\n4\n5\n```",
    "x" * 60,
]


@pytest.mark.parametrize("text", SHORT)
def test_what_is_too_short_to_be_looked_into_goes_as_if_it_had_been(
    talking: Callable[..., Talk], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    request: Json = {"messages": [user(text)]}
    sent = talking().send(request)
    monkeypatch.setattr(file_references, "SHORTEST", 0)
    looked_into = talking()
    assert looked_into.send(request) == sent
    assert looked_into.services.files.most_resent(9) == []


def test_conversations_that_begin_at_once_take_no_more_than_the_bound(
    talking: Callable[..., Talk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_references, "MOST_CHARACTERS", 3 * len(FILE))
    talk = talking()
    [layer] = talk.layers
    assert isinstance(layer, FileReferences)
    begun = [reads(1, FILE.replace("line", name)) for name in ("line", "row", "point", "place", "spot")]
    pipeline = Pipeline([talk.memory, layer])
    exchanges = [an_exchange(request=request, conversation="c", project="web") for request in begun]
    for exchange in exchanges:
        asyncio.run(pipeline.request(exchange))
    assert 0 < layer.characters <= 3 * len(FILE)
    for exchange in exchanges:
        talk.memory.accepted(exchange)
    for name in ("line", "row", "point", "place", "spot"):  # the first are not indexed any more, and it is all the same
        sent = talk.send(request := reads(2, FILE.replace("line", name)))
        assert expand(sent) == request
        assert "[cgw: same 40 lines" in texts(sent)[-1]


def test_a_conversation_counts_once_however_often_it_goes_on(talking: Callable[..., Talk]) -> None:
    talk = talking()
    [layer] = talk.layers
    assert isinstance(layer, FileReferences)
    for turn in range(1, 6):
        talk.send(reads(turn))
        assert 0 < layer.characters <= sum(map(len, texts(talk.sent)))


async def test_long_ones_are_looked_through_one_at_a_time_and_whoever_leaves_holds_up_nobody(
    talking: Callable[..., Talk], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: asyncio.Queue[str] = asyncio.Queue()
    may_end = asyncio.Event()

    async def in_a_thread(work: Callable[..., None], exchange: Exchange, *more: object) -> None:
        begun.put_nowait(exchange.id)
        await may_end.wait()
        work(exchange, *more)

    monkeypatch.setattr(file_references, "ON_THE_LOOP", 0)
    monkeypatch.setattr(asyncio, "to_thread", in_a_thread)
    talk = talking()
    pipeline = Pipeline([talk.memory, *talk.layers])
    exchanges = [an_exchange(id=name, request=reads(2), conversation=name, project=name) for name in "abcd"]
    holds, second, waits, last = [asyncio.create_task(pipeline.request(exchange)) for exchange in exchanges]
    assert await begun.get() == "a"
    for leaves in (holds, waits):
        leaves.cancel()
        await asyncio.wait([leaves])
    assert await begun.get() == "b"
    assert begun.empty()
    may_end.set()
    await asyncio.gather(second, last)
    assert await begun.get() == "d"


pieces = st.sampled_from(
    [LINES[:12], LINES[5:30], ["  }", "", "  }"], [f"{number}\t{line}" for number, line in enumerate(LINES, 1)]]
)
contents = st.lists(pieces, min_size=1, max_size=4).map(
    lambda some: "\n".join(line for piece in some for line in piece)
)
turns = st.lists(st.lists(contents, min_size=1, max_size=3), min_size=2, max_size=4)


@settings(max_examples=30, deadline=None, suppress_health_check=thorough.ONE_FIXTURE)
@given(turns)
def test_what_is_remembered_of_earlier_requests_changes_nothing(
    talking: Callable[..., Talk], turns: list[list[str]]
) -> None:
    kept, anew = talking(reference_min_chars=80), talking(reference_min_chars=80)
    messages = [user("go", f"<attached_files>\n{FILE}\n</attached_files>")]
    for number, read in enumerate(turns):
        for place, content in enumerate(read):
            messages += [assistant(call(f"t{number}{place}", path="a.py")), user(result(f"t{number}{place}", content))]
        anew.change_layers(FileReferences)
        sent = kept.send({"messages": messages})
        assert sent == anew.send({"messages": messages})
        assert expand(sent) == {"messages": messages}


words = st.sampled_from(["go on", FILE, f'<file_content path="b.py">\n{FILE}\n</file_content>', "[cgw: same 9 lines"])


@st.composite
def asked(draw: st.DrawFn) -> list[tuple[list[Json], str]]:
    """What one conversation asks in turn, and what becomes of it. It goes on, goes back, marks its last block as some
    clients do, asks again, and loses answers."""
    messages = [user("go", f"<attached_files>\n{FILE}\n</attached_files>")]
    requests = []
    for number in range(draw(st.integers(2, 5))):
        if not draw(st.integers(0, 3)):
            messages = messages[: draw(st.integers(1, len(messages)))]
        for place in range(draw(st.integers(0, 2))):
            read = call(f"t{number}{place}", path="a.py", offset=draw(st.sampled_from([1, 5])))
            said = draw(st.sampled_from([[read], [draw(words), read], ["Read it."]]))
            told: list[Any] = [result(f"t{number}{place}", draw(contents))] if read in said else []
            if not told or draw(st.booleans()):
                told += draw(st.sampled_from([[draw(words)], ["[read_file for 'a.py'] Result:", draw(contents)]]))
            messages = [*messages, assistant(*said), user(*told)]
        *before, last = messages
        if draw(st.booleans()):
            *blocks, marked = last["content"]
            last = {**last, "content": [*blocks, {**marked, "cache_control": {"type": "ephemeral"}}]}
        requests.append(([*before, last], draw(st.sampled_from(["accepted"] * 4 + ["lost", "bypassed"]))))
    return requests


def known(indexed: Indexed) -> tuple[Any, ...]:
    lines, sources = indexed.lines, indexed.lines.sources
    named = {name: [(one.text, one.origin) for one in sources.named(name)] for name in vars(sources)["_named"]}
    return indexed.until, lines.keys, lines.grams, lines.characters, named, vars(indexed.walk)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is taken in is compared with what walking through all of it gives."""
    take_in = Indexed.take_in

    def compared(indexed: Indexed, prompt: Prompt) -> None:
        take_in(indexed, prompt)
        take_in(anew := Indexed(), prompt)
        assert known(indexed) == known(anew)

    monkeypatch.setattr(Indexed, "take_in", compared)


@settings(max_examples=40, deadline=None, suppress_health_check=thorough.ONE_FIXTURE)
@given(asked())
@pytest.mark.usefixtures("checked")
def test_what_was_walked_through_when_it_was_new_is_known_as_if_it_were_walked_through_again(
    talking: Callable[..., Talk], asked: list[tuple[list[Json], str]]
) -> None:
    talk = talking(reference_min_chars=80)
    for messages, end in asked:
        request = {"messages": messages}
        sent = talk.lose(request) if end == "lost" else talk.send(request, bypass=end == "bypassed")
        assert expand(sent) == request


FEW = "\n".join(LINES[:9])


@pytest.mark.parametrize(
    ("lost", "instead"),
    [
        ([user(result("t2", FILE), FEW)], [user(result("t2", FILE), FEW)]),
        ([user(result("t2", FEW), FEW)], [user(result("t2", FEW), "go on")]),
        ([user(result("t2", FEW), FEW)], [user(result("t2", FEW)), user(FEW)]),
    ],
    ids=["without a reference", "in other words", "in two messages"],
)
@pytest.mark.usefixtures("checked")
def test_what_was_lost_and_went_otherwise_past_this_layer_is_walked_through_again(
    talking: Callable[..., Talk], lost: list[Json], instead: list[Json]
) -> None:
    talk, before = talking(), reads(1)["messages"]
    talk.send({"messages": before})
    before += [assistant(call("t2", path="src/app.py"))]
    talk.lose({"messages": [*before, *lost]})
    talk.send({"messages": [*before, *instead]}, bypass=True)
    talk.send({"messages": [*before, *instead, assistant("Done."), user(FILE)]})


@pytest.mark.usefixtures("checked")
def test_words_that_became_a_reference_are_walked_through_as_they_were_sent(talking: Callable[..., Talk]) -> None:
    """They said which tool returned what stands behind them; the reference that Claude got does not."""
    talk, told = talking(), f"[read_file for '{'src/' * 250}app.py'] Result:\n\n"
    messages = [
        user(told, FILE),
        assistant("And?"),
        user(told, FILE.replace("line", "row")),
        assistant("So?"),
        user("x"),
    ]
    talk.send({"messages": messages[:1]})
    sent = talk.send({"messages": messages[:3]})
    assert "[cgw: same 3 lines" in texts(sent)[3]
    talk.send({"messages": messages})


def held_by(root: object) -> int:
    """Characters and bytes of all texts that it leads to."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        if id(one := waiting.pop()) not in seen and not isinstance(one, type):
            seen[id(one)] = one
            waiting += gc.get_referents(one)
    return sum(len(one) for one in seen.values() if isinstance(one, str | bytes))


def test_a_picture_is_not_kept_for_the_next_turn(talking: Callable[..., Talk]) -> None:
    """What is kept counts by its characters, and nothing refers to a picture."""
    talk, request = talking(), reads(1)
    [layer] = talk.layers
    assert isinstance(layer, FileReferences)
    talk.send(request)
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 1_000_000}}
    request["messages"] += [assistant(call("t2", path="a.py")), user(result("t2", FILE), picture)]
    talk.send(request)
    assert held_by(layer._indexed) < 100_000
    request["messages"] += [assistant(call("t3", path="a.py")), user(result("t3", FILE))]
    sent = talk.send(request)
    assert expand(sent) == request
    assert texts(sent)[-1].startswith("[cgw: same 40 lines")
