"""Context pruning: one large step where the prompt does not fit, and never what is new or a person's."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from addons.boilerplate import Boilerplate
from addons.context_pruning import NEWEST_KEPT, ContextPruning
from sidecar.cut_texts import CutTexts
from sidecar.cuts import cut_id
from sidecar.exchange import Json
from tests.support.talks import Talk, assistant, call, result, texts, user

HAIKU = "claude-haiku-4-5"
"""Takes 200,000 tokens."""
HOURS = 3_600.0


def output(number: int, lines: int = 1_000) -> str:
    return "".join(f"{number:03} line {line:05} of what the tool printed\n" for line in range(lines))


def steps(count: int, lines: int = 1_000) -> list[Json]:
    """An agent's conversation: a task, and so many calls with their results. About 14,000 tokens a thousand lines."""
    messages = [user("find the bug")]
    for number in range(count):
        messages += [assistant(call(f"t{number}", "run")), user(result(f"t{number}", output(number, lines)))]
    return messages


def stubs(request: Json) -> list[int]:
    """Which of the tool results are a line, by their number."""
    results = [
        block for message in request["messages"] for block in message["content"] if block["type"] == "tool_result"
    ]
    return [number for number, block in enumerate(results) if str(block["content"]).startswith("[cgw cut: ")]


@pytest.fixture
def talking(tmp_path: Path) -> Iterator[Callable[..., Talk]]:
    talks: list[Talk] = []

    def begin(**settings: Any) -> Talk:
        talks.append(Talk(tmp_path, ContextPruning, Boilerplate, **settings))
        return talks[-1]

    yield begin
    for talk in talks:
        talk.close()


def test_a_prompt_that_fits_is_the_clients_own(talking: Callable[..., Talk]) -> None:
    request = {"messages": steps(12)}
    assert talking().send(request, model=HAIKU) == request


def test_a_prompt_that_does_not_fit_loses_its_oldest_results_in_one_step(talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.send({"messages": steps(12)}, model=HAIKU)
    sent = talk.send({"messages": steps(16)}, model=HAIKU)
    cut = stubs(sent)
    assert cut == [*range(len(cut))]
    assert 4 <= len(cut) <= 16 - NEWEST_KEPT
    assert texts(sent)[0] == "find the bug"
    assert texts(sent)[-1] == output(15)
    assert texts(sent)[1].startswith(f"[cgw cut: result of run, {len(output(0)):,} characters in 1,000 lines.")


def test_the_step_is_large_enough_for_many_turns_and_stays_word_for_word(talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.send({"messages": steps(30, lines=400)}, model=HAIKU)
    first = talk.send({"messages": steps(40, lines=400)}, model=HAIKU)
    assert stubs(first)
    for count in (41, 42, 43, 44):
        later = talk.send({"messages": steps(count, lines=400)}, model=HAIKU)
        assert later["messages"][: len(first["messages"])] == first["messages"]


def test_the_newest_ten_results_stay_whatever_their_size(talking: Callable[..., Talk]) -> None:
    sent = talking().send({"messages": steps(12, lines=3_000)}, model=HAIKU)
    assert stubs(sent) == [0, 1]


def test_the_model_with_the_larger_window_keeps_all(talking: Callable[..., Talk]) -> None:
    request = {"messages": steps(16)}
    assert talking().send(request) == request


def test_what_was_cut_can_be_read(talking: Callable[..., Talk]) -> None:
    talk = talking()
    sent = talk.send({"messages": steps(16)}, model=HAIKU)
    talk.close()
    later = talking()
    kept = CutTexts(later.services.shelves)
    assert all(kept.read(cut_id(output(number))) == output(number) for number in stubs(sent))
    assert {head.id for head in kept.recent()} == {cut_id(output(number)) for number in stubs(sent)}


def test_client_and_user_are_told(talking: Callable[..., Talk]) -> None:
    talk = talking()
    count = len(stubs(talk.send({"messages": steps(16)}, model=HAIKU)))
    assert talk.noted == [f"messages=changed ({count} old tool results cut to a line each; `cgw show` lists them)"]
    assert talk.decided[0].startswith(f"context_pruning: too long for the model: {count} old tool results, cut of ")


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"context_pruning": "off"}, {}),
        ({}, {"bypass": True}),
        ({}, {"client_headers": {"x-gateway-strict": "1"}}),
    ],
)
def test_where_nothing_may_be_cut_claude_is_to_judge(
    talking: Callable[..., Talk], settings: dict[str, Any], fields: dict[str, Any]
) -> None:
    request = {"messages": steps(16)}
    assert talking(**settings).send(request, model=HAIKU, **fields) == request


def test_pictures_and_short_results_stay(talking: Callable[..., Talk]) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    messages = steps(16)
    messages[2] = user(result("t0", [{"type": "text", "text": output(0)}, picture]))
    messages[4] = user(result("t1", "fine"))
    cut = stubs(talking().send({"messages": messages}, model=HAIKU))
    assert cut[0] == 2


def test_with_cold_an_expired_cache_is_reason_enough(talking: Callable[..., Talk]) -> None:
    talk = talking(context_pruning="cold")
    messages = steps(30, lines=100)
    assert stubs(talk.send({"messages": messages}, now=1.0)) == []
    warm = talk.send({"messages": steps(31, lines=100)}, now=60.0)
    assert stubs(warm) == []
    cold = talk.send({"messages": steps(32, lines=100)}, now=60.0 + 2 * HOURS)
    assert len(stubs(cold)) >= 10
    assert talk.decided[0].startswith("context_pruning: the cache is cold: ")


def test_in_the_cold_little_is_not_worth_losing(talking: Callable[..., Talk]) -> None:
    talk = talking(context_pruning="cold")
    request = {"messages": steps(11, lines=100)}
    talk.send(request, now=1.0)
    assert talk.send(request, now=1.0 + 2 * HOURS) == request
    assert "nothing was cut" in talk.decided[0]


def test_overflow_alone_leaves_a_cold_conversation_as_it_is(talking: Callable[..., Talk]) -> None:
    talk = talking()
    request = {"messages": steps(30, lines=100)}
    talk.send(request, now=1.0)
    assert talk.send(request, now=1.0 + 2 * HOURS) == request


def test_what_was_cut_does_not_come_back_in_the_cold(talking: Callable[..., Talk]) -> None:
    """Cold stripping of editor state makes a prefix live again: not one that would be too long then."""
    talk = talking()
    state = "<environment_details>\n# VSCode Open Tabs\n" + "src/a.ts\n" * 200 + "</environment_details>"
    messages = [*steps(16), assistant("ok"), user("go on", state)]
    first = talk.send({"messages": messages}, model=HAIKU, client="cline", now=1.0)
    messages = [*messages, assistant("ok"), user("more", state)]
    cold = talk.send({"messages": messages}, model=HAIKU, client="cline", now=1.0 + 2 * HOURS)
    assert stubs(cold) == stubs(first) != []


def test_a_second_step_keeps_what_the_first_one_cut(talking: Callable[..., Talk]) -> None:
    talk = talking()
    first = stubs(talk.send({"messages": steps(16)}, model=HAIKU))
    again = stubs(talk.send({"messages": steps(28)}, model=HAIKU))
    assert again[: len(first)] == first
    assert len(again) > len(first)
