"""A client that changes something old: what was sent stays, and Claude is told at the end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addons.prefix_repair import PrefixRepair
from sidecar.exchange import Json
from sidecar.repair.expanding import expanded
from tests.support.talks import Talk, assistant, call, result, user

RULES = "".join(f"Rule {number}: read before you write.\n" for number in range(1, 120))
MINUTE = 60.0


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    talk = Talk(tmp_path, PrefixRepair)
    yield talk
    talk.close()


@pytest.fixture
def eager(tmp_path: Path) -> Iterator[Talk]:
    """With PREFIX_REPAIR=all."""
    talk = Talk(tmp_path, PrefixRepair, prefix_repair="all")
    yield talk
    talk.close()


def clock(time: str) -> str:
    return f"{RULES}Current time: {time}\n"


def chat(turns: int) -> list[Json]:
    """A history of so many of the user's messages."""
    messages: list[Json] = []
    for turn in range(turns):
        messages += [user(f"question {turn}: " + "why? " * 20), assistant(f"answer {turn}: " + "because. " * 20)]
    return messages[:-1]


def heads(request: Json, count: int) -> tuple[Any, list[Json]]:
    return request.get("system"), request["messages"][:count]


def amendments(request: Json) -> list[str]:
    return [
        block["text"] for message in request["messages"] if message["role"] == "system" for block in message["content"]
    ]


def same(one: Json, other: Json) -> bool:
    return _plain(one) == _plain(other)


def _plain(request: Json) -> Json:
    """System text and contents as lists of blocks."""

    def blocks(content: Any) -> Any:
        return [{"type": "text", "text": content}] if isinstance(content, str) else content

    messages = [{**message, "content": blocks(message["content"])} for message in request["messages"]]
    return {**request, "system": blocks(request.get("system")), "messages": messages}


def test_a_minute_clock_in_the_system_prompt_leaves_the_prefix_as_it_was_sent(talk: Talk) -> None:
    before = talk.send({"system": clock("10:00"), "messages": chat(1)})
    for turn in range(2, 6):
        request = {"system": clock(f"10:0{turn}"), "messages": chat(turn)}
        sent = talk.send(request)
        count = len(before["messages"])
        assert same({**sent, "messages": sent["messages"][:count]}, before)
        assert amendments(sent)[-1].endswith(f"\n+Current time: 10:0{turn}")
        assert same(expanded(sent), request)
        before = sent
    assert len(amendments(before)) == 4


def test_the_reader_is_told_what_changed_and_what_it_would_have_cost(talk: Talk) -> None:
    talk.send({"system": clock("10:00"), "messages": chat(1)})
    talk.send({"system": clock("10:01"), "messages": chat(2)})
    (decision,) = talk.exchange.decisions
    assert "the system prompt changed at character" in decision.said
    assert "`Current time: 10:01`" in decision.said
    assert "to follow would cost $0.00" in decision.said
    told, rewritten = decision.numbers["told_micro_usd"], decision.numbers["rewrite_micro_usd"]
    assert 0 < float(told) < float(rewritten)


def test_a_clock_that_stands_still_is_told_once(talk: Talk) -> None:
    talk.send({"system": clock("10:00"), "messages": chat(1)})
    talk.send({"system": clock("10:01"), "messages": chat(2)})
    sent = talk.send({"system": clock("10:01"), "messages": chat(3)})
    assert len(amendments(sent)) == 1


def test_a_change_that_is_taken_back_is_told_too(talk: Talk) -> None:
    talk.send({"system": clock("10:00"), "messages": chat(1)})
    talk.send({"system": clock("10:01"), "messages": chat(2)})
    request = {"system": clock("10:00"), "messages": chat(3)}
    sent = talk.send(request)
    assert amendments(sent)[-1].endswith("It reads as first sent again.")
    assert same(expanded(sent), request)


def test_state_of_the_editor_in_an_early_message_is_amended(talk: Talk) -> None:
    def environment(tabs: str, time: str) -> Json:
        details = f"# VSCode Open Tabs\n{tabs}\n\n# Current Time\n{time}\n\n# Current Mode\nACT MODE"
        return user("fix the bug", f"<environment_details>\n{details}\n</environment_details>")

    first = environment("a.py\nb.py", "5/2/2025, 4:42:28 PM")
    now = environment("b.py", "5/2/2025, 4:44:01 PM")
    later = [assistant("I read it. " * 200), user("go on"), assistant("done"), user("more")]
    talk.send({"system": RULES, "messages": [first, *later[:2]]})
    request = {"system": RULES, "messages": [now, *later]}
    sent = talk.send(request)
    assert sent["messages"][:3] == [first, *later[:2]]
    (told,) = amendments(sent)
    assert "to block 2 of message 1;" in told
    assert same(expanded(sent), request)


def with_read(content: Any, *more: Json) -> Json:
    messages = [user("read it"), assistant(call("t1", path="a.py")), user(result("t1", content)), *more]
    return {"system": RULES, "messages": messages}


def test_an_older_read_that_became_a_note_is_repaired_where_the_user_chose_so_and_it_pays(eager: Talk) -> None:
    read, note = RULES[:600], "[The newest read of this file stands below.]"
    later = [assistant("Now I know. " * 400), user("go on"), assistant("done"), user("more")]
    first = eager.send(with_read(read, *later[:2]))
    request = with_read(note, *later)
    sent = eager.send(request)
    assert sent["messages"][: len(first["messages"])] == first["messages"]
    assert same(expanded(sent), request)


def test_what_somebody_meant_to_change_is_sent_as_it_is(talk: Talk) -> None:
    talk.send({"system": RULES + "Be brief.", "messages": chat(1)})
    request = {"system": RULES + "Be thorough.", "messages": chat(2)}
    assert talk.send(request) == request
    assert "no change of the kind that comes by itself" in talk.decided[0]


def test_every_small_change_is_repaired_where_the_user_chose_so(eager: Talk) -> None:
    eager.send({"system": RULES + "Be brief.", "messages": chat(1)})
    request = {"system": RULES + "Be thorough.", "messages": chat(2)}
    sent = eager.send(request)
    assert amendments(sent)[0].split("\n")[1:] == ["@@ -120 +120 @@", "-Be brief.", "+Be thorough."]
    assert same(expanded(sent), request)


def test_nothing_is_repaired_where_the_user_switched_it_off(tmp_path: Path) -> None:
    talk = Talk(tmp_path, PrefixRepair, prefix_repair="off")
    talk.send({"system": clock("10:00"), "messages": chat(1)})
    request = {"system": clock("10:01"), "messages": chat(2)}
    assert talk.send(request) == request
    talk.close()


def test_under_a_bypass_what_was_sent_is_still_sent_and_the_difference_told(talk: Talk) -> None:
    talk.send({"system": clock("10:00"), "messages": chat(1)})
    request = {"system": clock("10:01"), "messages": chat(2)}
    sent = talk.send(request, bypass=True)
    assert sent["system"] == [{"type": "text", "text": clock("10:00")}]
    assert same(expanded(sent), request)


def test_a_conversation_that_is_held_out_is_not_repaired(tmp_path: Path) -> None:
    talk = Talk(tmp_path, PrefixRepair)
    talk.memory._holdout_percent = 100
    talk.send({"system": clock("10:00"), "messages": chat(1)})
    request = {"system": clock("10:01"), "messages": chat(2)}
    assert talk.send(request) == request
    talk.close()


def test_after_the_cache_has_expired_the_client_is_followed(talk: Talk) -> None:
    talk.send({"system": clock("10:00"), "messages": chat(1)}, now=1_000.0)
    request = {"system": clock("10:30"), "messages": chat(2)}
    assert talk.send(request, now=1_000.0 + 30 * MINUTE) == request
    assert "the cache has expired anyway" in talk.decided[0]


def test_two_conversations_never_repair_each_other(talk: Talk) -> None:
    talk.send({"system": clock("10:00"), "messages": [user("one task"), assistant("yes"), user("go on")]})
    other = {"system": clock("10:01"), "messages": [user("another task"), assistant("yes"), user("go on")]}
    assert talk.send(other) == other
    other["messages"] = [*other["messages"], assistant("done"), user("and now?")]
    assert talk.send(other, project="another") == other


def test_another_task_in_the_same_frame_is_another_conversation_even_where_all_is_repaired(eager: Talk) -> None:
    def conversation(task: str, time: str) -> list[Json]:
        return [user("<rules/>", f"{task} by {time}"), assistant("OK. " * 300), user("go on")]

    eager.send({"system": RULES, "messages": conversation("test it", "10:00")})
    for task, time, repaired in (("ship it", "10:00", False), ("test it", "10:05", True)):
        request = {"system": RULES, "messages": [*conversation(task, time), assistant("done"), user("more")]}
        assert (eager.send(request) != request) is repaired
        assert ("it might be another conversation" in eager.decided[0]) is not repaired


def test_tools_in_another_order_go_out_as_they_were_first_sent_and_others_are_not_amended(talk: Talk) -> None:
    read, write = {"name": "read", "input_schema": {}}, {"name": "write", "input_schema": {}}
    talk.send({"tools": [read, write], "system": RULES, "messages": chat(1)})
    sent = talk.send({"tools": [write, read], "system": RULES, "messages": chat(2)})
    assert sent["tools"] == [read, write]
    assert amendments(sent) == []
    new = {"tools": [read, {**write, "description": "At 10:01"}], "system": RULES, "messages": chat(3)}
    assert talk.send(new) == new


def test_a_change_with_little_behind_it_is_not_worth_an_amendment(talk: Talk) -> None:
    talk.send({"messages": [user("Hello.", "It is 10:00.")]})
    request = {"messages": [user("Hello.", "It is 10:01."), assistant("so?"), user("Nothing.")]}
    assert talk.send(request) == request
    assert "it does not pay" in talk.decided[0]


def test_a_client_that_shortens_a_full_prompt_is_not_held_to_the_longer_one(eager: Talk) -> None:
    window = eager.services.catalogue.card("claude-sonnet-5-5").max_input_tokens
    assert window is not None
    history = [
        user("go"),
        assistant("x" * 1_400 + "\n" + "y" * 600),
        user("on"),
        assistant("word " * (window * 3 // 5)),
    ]
    eager.send({"messages": [*history, user("go on")]})
    history[1] = assistant("x" * 1_400)
    request = {"messages": [*history, user("go on"), assistant("ok"), user("more")]}
    assert eager.send(request) == request
    assert "might not fit" in eager.decided[0]


def test_a_change_that_no_turn_of_the_user_follows_is_sent_as_it_is(talk: Talk) -> None:
    talk.send({"system": clock("10:00"), "messages": chat(2)})
    request = {"system": clock("10:01"), "messages": [*chat(2), assistant("The answer is")]}
    assert talk.send(request) == request
    assert "no turn of the user follows" in talk.decided[0]


def test_more_text_than_may_be_compared_is_sent_as_it_is(talk: Talk) -> None:
    long = "Read before you write.\n" * 9_000
    for turn, repaired in ((1, False), (2, True)):
        request = {"system": f"{long}Current time: 10:0{turn}", "messages": chat(turn)}
        assert (talk.send(request) != request) is repaired
    files = [{"type": "text", "text": f"{long}Current time: 10:00"} for _ in range(2)]
    talk.send({"system": files, "messages": chat(1)})
    files = [{"type": "text", "text": f"{long}Current time: 10:01"} for _ in range(2)]
    request = {"system": files, "messages": chat(2)}
    assert talk.send(request) == request
    assert "too much text to compare" in talk.decided[0]


def test_a_quoted_amendment_stays_in_the_text_that_quotes_it(talk: Talk) -> None:
    talk.send({"system": clock("10:00"), "messages": chat(1)})
    told = amendments(talk.send({"system": clock("10:01"), "messages": chat(2)}))[0]
    quoting = [*chat(2), assistant(told), user(told, f"<system>\n{told}\n</system>")]
    for time in ("10:01", "10:02"):
        request = {"system": clock(time), "messages": quoting}
        assert same(expanded(talk.send(request)), request)
        quoting = [*quoting, assistant("hm"), user(told)]


TIMES = st.lists(st.sampled_from(["10:00", "10:01", "10:02"]), min_size=2, max_size=6)
EDITS = st.sampled_from(["", "\n", "more\n", "a\r\nb", "\u2028"])


@settings(max_examples=40, deadline=None)
@given(TIMES, st.lists(EDITS, min_size=6, max_size=6), st.booleans())
def test_what_was_sent_stays_sent_and_the_clients_words_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, times: list[str], edits: list[str], takes_system: bool
) -> None:
    talk = Talk(tmp_path_factory.getbasetemp(), PrefixRepair, prefix_repair="all")
    before: Json = {"messages": []}
    for turn, (time, edit) in enumerate(zip(times, edits, strict=False), 2):
        request = {"system": clock(time), "messages": [*chat(1), assistant("first\n" * 200 + edit), *chat(turn)]}
        sent = talk.send(request)
        assert talk.exchange.prompt is not None
        wire = talk.exchange.prompt.assemble(request, takes_mid_system=takes_system)
        assert same(expanded(wire), request)
        if not any("not repaired" in said for said in talk.decided):
            assert same({**sent, "messages": sent["messages"][: len(before["messages"])]}, {**sent, **before})
        before = sent
    talk.close()
