"""The live zone: what layers may do to a request, and what goes upstream."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.conversation import Accepted, Line, Match, match, positions_of
from sidecar.prompt import Prompt, Saving

TURNS = (("user", "one"), ("assistant", "two"), ("user", "three"))


def a_request(*messages: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in messages], **fields}


def a_prompt(request: dict[str, Any], line: Line | None = None, now: float = 0.0) -> Prompt:
    positions = positions_of(request)
    assert positions is not None
    prompt = Prompt("web", positions)
    if line is not None:
        prompt.resume(match(line, prompt.positions, prompt.chain), now)
    return prompt


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def remembered(prompt: Prompt, tokens: int = 10) -> Line:
    line = prompt.line or Line("line", "web", "test")
    line.renew(prompt.renewed)
    line.extend(prompt.sent())
    line.accept(Accepted(now=0.0, model="m", until=len(line.sent), tokens=tokens))
    return line


def test_a_request_that_nobody_touched_is_itself() -> None:
    request = a_request(*TURNS)
    assert a_prompt(request).assemble(request, takes_mid_system=True) is request


def test_messages_that_nobody_touched_stay_the_clients_own_objects() -> None:
    request = a_request(*TURNS, system="s", tools=[{"name": "t"}])
    prompt = a_prompt(request)
    prompt.replace(4, text("3"), "size_limits")
    assembled = prompt.assemble(request, takes_mid_system=True)
    assert assembled["messages"][:2] == request["messages"][:2]
    assert assembled["messages"][0] is request["messages"][0]
    assert assembled["system"] is request["system"]
    assert assembled["messages"][2] == {"role": "user", "content": [text("3")]}
    assert request == a_request(*TURNS, system="s", tools=[{"name": "t"}])


LIFETIMES = st.sampled_from(["5m", "1h"])


@given(st.lists(st.sampled_from([None, None, "5m", "1h"]), min_size=12, max_size=12), st.data())
def test_every_block_goes_out_as_it_was_decided_for_it(client: list[str | None], data: st.DataObject) -> None:
    """Three tools, three texts of the system's, and messages of one, two and three blocks."""
    blocks = [{"name": f"t{index}"} if index < 3 else text(f"words {index}") for index in range(12)]
    written = [
        {**block, "cache_control": {"ttl": ttl, "type": "ephemeral"}} if ttl else block
        for block, ttl in zip(blocks, client, strict=True)
    ]
    zones = [[0, 1, 2], [3, 4, 5], [6], [7, 8], [9, 10, 11]]
    tools, system, *said = [[written[index] for index in zone] for zone in zones]
    roles = ("user", "assistant", "user")
    request = a_request(*zip(roles, said, strict=True), tools=tools, system=system)
    prompt = a_prompt(request)
    expected = {
        index: [{**block, "cache_control": {"type": "ephemeral"} | ({"ttl": ttl} if ttl == "1h" else {})}]
        if (ttl := client[index])
        else [block]
        for index, block in enumerate(blocks)
    }
    touched = set()
    for index, ttl in data.draw(st.dictionaries(st.integers(0, 11), LIFETIMES, max_size=4)).items():
        if client[index] is None:
            prompt.mark(index, "1h" if ttl == "1h" else "5m")
            mark = {"type": "ephemeral"} | ({"ttl": ttl} if ttl == "1h" else {})
            expected[index] = [{**blocks[index], "cache_control": mark}]
            touched.add(index)
    for index in data.draw(st.sets(st.integers(3, 8), max_size=3)) - touched:
        if client[index] is None:
            prompt.split(index, 3)
            expected[index] = [text("wor"), text(f"ds {index}")]
            touched.add(index)
    for index in data.draw(st.sets(st.integers(0, 11), max_size=2)) - touched:
        if client[index] is not None:
            del prompt.client_marks[index]
            expected[index] = [blocks[index]]
            touched.add(index)
    assembled = prompt.assemble(request, takes_mid_system=True)
    found = [assembled["tools"], assembled["system"], *(message["content"] for message in assembled["messages"])]
    for zone, was, now in zip(zones, [tools, system, *said], found, strict=True):
        assert now == ([block for index in zone for block in expected[index]] if touched & {*zone} else was)
    assert [message["role"] for message in assembled["messages"]] == [*roles]


def test_what_was_sent_is_sent_again_and_cannot_be_edited() -> None:
    first = a_prompt(a_request(("user", "one")))
    first.replace(0, text("1"), "size_limits")
    line = remembered(first)
    request = a_request(*TURNS)
    prompt = a_prompt(request, line)
    assert (prompt.frozen, prompt.block(0)) == (1, text("1"))
    with pytest.raises(ValueError, match="went upstream before"):
        prompt.replace(0, text("uno"), "boilerplate")
    assert prompt.assemble(request, takes_mid_system=True)["messages"][0] == {"role": "user", "content": [text("1")]}


def test_savings_of_earlier_turns_count_again() -> None:
    first = a_prompt(a_request(("user", "one")))
    first.replace(0, text("1"), "size_limits")
    prompt = a_prompt(a_request(*TURNS), remembered(first))
    prompt.replace(2, text("3"), "boilerplate")
    assert [*prompt.savings()] == [Saving("size_limits", 0, 2, True), Saving("boilerplate", 2, 4, False)]


def test_a_block_that_is_left_out_leaves_its_message_standing() -> None:
    request = a_request(("user", [text("a"), text("b")]))
    prompt = a_prompt(request)
    prompt.remove(0, "boilerplate")
    with pytest.raises(ValueError, match="nothing would be left"):
        prompt.remove(1, "boilerplate")
    assert prompt.assemble(request, takes_mid_system=True)["messages"] == [{"role": "user", "content": [text("b")]}]


@pytest.mark.parametrize("takes", [True, False])
def test_what_is_said_at_the_tail_is_a_system_message_where_the_model_takes_one(takes: bool) -> None:
    request = a_request(("user", "one"))
    prompt = a_prompt(request)
    prompt.append("mind this", "prefix_repair", as_system=True)
    messages = prompt.assemble(request, takes_mid_system=takes)["messages"]
    if takes:
        assert messages[1:] == [{"role": "system", "content": [text("mind this")]}]
    else:
        assert messages == [{"role": "user", "content": [text("one"), text("<system>\nmind this\n</system>")]}]


def test_what_was_said_at_the_tail_stays_in_its_place_in_later_turns() -> None:
    first = a_prompt(a_request(("user", "one")))
    first.append("mind this", "diff_first")
    request = a_request(*TURNS)
    messages = a_prompt(request, remembered(first)).assemble(request, takes_mid_system=True)["messages"]
    assert messages[0]["content"] == [text("one"), text("<system>\nmind this\n</system>")]
    assert messages[1:] == request["messages"][1:]


def test_the_clients_own_marks_stay_on_what_is_sent_in_their_place() -> None:
    request = a_request(("user", [{**text("one"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}]))
    prompt = a_prompt(request)
    prompt.replace(0, text("1"), "size_limits")
    [block] = prompt.assemble(request, takes_mid_system=True)["messages"][0]["content"]
    assert block == {**text("1"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}


def test_our_mark_stands_on_the_last_block_sent_for_a_position() -> None:
    request = a_request(("user", "one"))
    prompt = a_prompt(request)
    prompt.append("mind this", "diff_first")
    prompt.mark(0, "5m")
    blocks = prompt.assemble(request, takes_mid_system=True)["messages"][0]["content"]
    assert ["cache_control" in block for block in blocks] == [False, True]
    prompt = a_prompt(request)
    prompt.append("mind this", "diff_first", as_system=True)
    prompt.mark(0, "1h")
    messages = prompt.assemble(request, takes_mid_system=True)["messages"]
    assert messages[1]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert "cache_control" not in messages[0]["content"][0]


def test_a_mark_of_the_client_that_is_taken_away_is_gone() -> None:
    request = a_request(("user", [{**text("one"), "cache_control": {"type": "ephemeral"}}]))
    prompt = a_prompt(request)
    del prompt.client_marks[0]
    assert prompt.assemble(request, takes_mid_system=True)["messages"][0]["content"] == [text("one")]


def test_a_repair_sends_the_old_text_and_says_the_new_one() -> None:
    first = a_prompt(a_request(("user", "one"), system="it is 10:01"))
    line = remembered(first)
    request = a_request(*TURNS, system="it is 10:02")
    prompt = a_prompt(request, line)
    assert [(change.index, change.frozen, change.now) for change in prompt.repairable] == [
        (0, text("it is 10:01"), text("it is 10:02"))
    ]
    prompt.mend(["now it is 10:02"], as_system=False)
    assembled = prompt.assemble(request, takes_mid_system=True)
    assert assembled["system"] == [text("it is 10:01")]
    assert assembled["messages"][2]["content"][-1] == text("<system>\nnow it is 10:02\n</system>")
    line = remembered(prompt)
    again = a_prompt(a_request(*TURNS, ("assistant", "four"), ("user", "five"), system="it is 10:02"), line)
    assert (again.frozen, again.repairable, again.block(0)) == (4, (), text("it is 10:01"))
    later = a_prompt(a_request(*TURNS, ("assistant", "four"), ("user", "five"), system="it is 10:03"), line)
    assert later.repairable[0].frozen == text("it is 10:01")


def test_a_repair_leaves_what_else_was_edited_as_it_was_sent() -> None:
    first = a_prompt(a_request(("user", "one"), system="it is 10:01"))
    first.replace(1, text("1"), "size_limits")
    prompt = a_prompt(a_request(*TURNS, system="it is 10:02"), remembered(first))
    prompt.mend([], as_system=False)
    assert prompt.block(1) == text("1")


def test_a_repair_freezes_nothing_that_another_request_sent_meanwhile() -> None:
    line = remembered(a_prompt(a_request(*TURNS, system="it is 10:01")))
    request = a_request(*TURNS, ("assistant", "A"), ("user", "mine"), system="it is 10:02")
    prompt = a_prompt(request, line)
    other = a_prompt(a_request(*TURNS, ("assistant", "B"), ("user", "theirs"), system="it is 10:01"), line)
    other.replace(5, text("cut"), "size_limits")
    remembered(other)
    prompt.mend(["now it is 10:02"], as_system=True)
    assert prompt.frozen == 4
    assert prompt.assemble(request, takes_mid_system=True)["messages"][4] == {"role": "user", "content": [text("mine")]}


def test_a_message_that_its_client_went_on_with_keeps_what_was_said_behind_it_where_it_was() -> None:
    request = a_request(("user", [text("one")]))
    first = a_prompt(request)
    first.append("amended", "prefix_repair", as_system=True)
    sent = first.assemble(request, takes_mid_system=True)["messages"]
    longer = a_request(("user", [text("one"), text("two")]))
    again = a_prompt(longer, remembered(first)).assemble(longer, takes_mid_system=True)["messages"]
    assert again == [*sent, {"role": "user", "content": [text("two")]}]


def test_a_thawed_prompt_is_the_clients_own_and_may_be_edited() -> None:
    first = a_prompt(a_request(("user", "one")))
    first.replace(0, text("1"), "size_limits")
    prompt = a_prompt(a_request(*TURNS), remembered(first))
    prompt.thaw()
    assert prompt.block(0) == text("one")
    prompt.replace(0, text("uno"), "boilerplate")
    assert [saving.layer for saving in prompt.savings()] == ["boilerplate"]


def test_a_layer_that_fails_half_way_leaves_nothing_behind() -> None:
    request = a_request(*TURNS)
    prompt = a_prompt(request)
    before = prompt.snapshot()
    prompt.replace(0, text("1"), "size_limits")
    prompt.mark(2, "5m")
    prompt.thaw()
    prompt.restore(before)
    assert prompt.assemble(request, takes_mid_system=True) is request
    assert not prompt.thawed


def test_one_layer_after_the_other_may_fail_half_way() -> None:
    request = a_request(*TURNS)
    prompt = a_prompt(request)
    for _ in range(2):
        before = prompt.snapshot()
        prompt.replace(0, text("1"), "size_limits")
        prompt.mark(2, "5m")
        prompt.restore(before)
        assert prompt.assemble(request, takes_mid_system=True) is request
    prompt.mark(2, "5m")
    before = prompt.snapshot()
    prompt.mark(0, "1h")
    prompt.restore(before)
    assert prompt.marks == {2: "5m"}


@pytest.mark.parametrize(
    "change",
    [
        lambda prompt: prompt.replace(4, text("3"), "size_limits"),
        lambda prompt: prompt.remove(4, "size_limits"),
        lambda prompt: prompt.split(4, 2),
        lambda prompt: prompt.append("more", "diff_first"),
        lambda prompt: prompt.put_back(3, [THOUGHT], 30),
        lambda prompt: prompt.mark(4, "1h"),
        lambda prompt: prompt.thaw(),
        lambda prompt: prompt.take_back(),
        lambda prompt: prompt.mend(["so"], as_system=False),
        lambda prompt: prompt.leave_out_thinking(),
    ],
)
def test_whatever_a_layer_does_is_counted_so_that_it_can_be_undone(change: Any) -> None:
    first = a_prompt(a_request(("user", "one"), ("assistant", "two"), ("user", "now it is 10:01")))
    first.append("once", "diff_first")
    request = a_request(
        *TURNS[:2], ("user", "now it is 10:02"), ("assistant", "four"), ("user", [text("five"), text("six")])
    )
    prompt = a_prompt(request, remembered(first))
    before = prompt.snapshot()
    change(prompt)
    assert prompt.snapshot()[1:] != before[1:]
    assert prompt.changes != before.changes
    prompt.restore(before)
    assert prompt.snapshot()[1:] == before[1:]
    assert prompt.changes != before.changes


def test_tokens_are_known_where_a_request_ended_and_interpolated_in_between() -> None:
    line = remembered(a_prompt(a_request(("user", "x" * 100), ("assistant", "y" * 100))), tokens=100)
    prompt = a_prompt(a_request(("user", "x" * 100), ("assistant", "y" * 100), ("user", "z" * 100)), line)
    assert [prompt.tokens_until(index) for index in range(4)] == [0, 50, 100, 150]


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5_000)), max_size=5),
    st.integers(0, 3),
    st.integers(0, 2),
    st.lists(st.integers(1, 500), min_size=20, max_size=20),
)
def test_tokens_are_told_by_the_nearest_ends_of_the_frozen_zone(
    turns: list[tuple[int, int]], new: int, forked: int, sizes: list[int]
) -> None:
    line = Line("line", "web", "test")
    ends = [(0, 0)]
    for number, (grows, tokens) in enumerate(turns):
        until = ends[-1][0] + grows
        line.extend(a_prompt(a_request(*(("user", "x" * size) for size in sizes[:until])), line).sent())
        line.accept(Accepted(now=float(number), model="m", until=until, tokens=ends[-1][1] + tokens))
        ends.append((until, ends[-1][1] + tokens))
    whole = [*sizes[: ends[-1][0] + new]]
    if forked and len(whole) > forked:
        whole[-forked] = 1_000
    prompt = a_prompt(a_request(*(("user", "x" * size) for size in whole)), line if turns else None)
    if prompt.frozen < len(whole):
        prompt.replace(len(whole) - 1, text("short"), "size_limits")
    known = [end for end in ends if end[0] <= prompt.frozen]
    for index in range(len(whole) + 1):
        low, few = [end for end in known if end[0] <= index][-1]
        above = [end for end in known if end[0] > index]
        between = sum(prompt.size(at) for at in range(low, index))
        if above and index > low:
            (high, many) = above[0]
            told = few + int((many - few) * (between / sum(prompt.size(at) for at in range(low, high))))
        else:
            told = few + round(between / prompt.bytes_a_token)
        assert prompt.tokens_until(index) == told


@given(st.integers(0, 4), st.sets(st.integers(0, 3)), st.sets(st.integers(4, 6)), st.integers(0, 7), st.integers(0, 7))
def test_bytes_that_are_sent_are_those_of_each_position(
    frozen: int, earlier: set[int], now: set[int], start: int, end: int
) -> None:
    turns = [("user" if number % 2 == 0 else "assistant", "said " * (number + 1)) for number in range(7)]
    line = None
    if frozen:
        before = a_prompt(a_request(*turns[:frozen]))
        for index in earlier & {*range(frozen)}:
            before.replace(index, text("short"), "size_limits")
        line = remembered(before)
    prompt = a_prompt(a_request(*turns), line)
    for index in now:
        prompt.replace(index, text("less"), "size_limits")
    assert prompt.frozen == frozen
    assert prompt.bytes_sent(start, end) == sum(prompt.size(index) for index in range(start, end))


def test_without_thinking_the_other_blocks_stay_as_they_were_sent() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    first = a_prompt(a_request(("user", "one")))
    first.replace(0, text("1"), "size_limits")
    request = a_request(("user", "one"), ("assistant", [thinking, text("two")]), ("user", "three"))
    prompt = a_prompt(request, remembered(first))
    assert prompt.thinks
    prompt.leave_out_thinking()
    messages = prompt.assemble(request, takes_mid_system=True)["messages"]
    assert messages[0]["content"] == [text("1")]
    assert messages[1]["content"] == [text("two")]
    assert len([*prompt.sent()]) == len(prompt.positions)


THOUGHT = {"type": "thinking", "thinking": "", "signature": "s" * 40}


def thoughtful() -> tuple[Line, dict[str, Any]]:
    """A line whose second request has thinking in front of the answer to the first, and a third request of it."""
    prompt = a_prompt(a_request(*TURNS), remembered(a_prompt(a_request(("user", "one")))))
    prompt.put_back(1, [THOUGHT], 30)
    return remembered(prompt), a_request(*TURNS, ("assistant", "four"), ("user", "five"))


def test_thinking_that_is_put_back_stands_in_front_of_its_block_and_stays_there() -> None:
    line, request = thoughtful()
    prompt = a_prompt(request, line)
    assert (prompt.frozen, prompt.block(1), prompt.puts_back, prompt.thinks) == (3, text("two"), True, False)
    messages = prompt.assemble(request, takes_mid_system=True)["messages"]
    assert messages[1] == {"role": "assistant", "content": [THOUGHT, text("two")]}
    assert [*prompt.savings()] == [Saving("thinking_memory", 1, -30, True)]
    assert prompt.size(1) == len(prompt.positions[1].raw) + 30


def test_a_mark_never_stands_on_thinking() -> None:
    line, request = thoughtful()
    prompt = a_prompt(request, line)
    prompt.mark(1, "5m")
    content = prompt.assemble(request, takes_mid_system=True)["messages"][1]["content"]
    assert ["cache_control" in block for block in content] == [False, True]


def test_thinking_stands_only_in_front_of_what_the_assistant_really_said() -> None:
    line, request = thoughtful()
    prompt = a_prompt(request, line)
    prompt.replace(3, text("fore"), "size_limits")
    for index in (1, 3, 4):
        with pytest.raises(ValueError, match="no thinking can stand"):
            prompt.put_back(index, [THOUGHT], 30)
    prompt = a_prompt(request, line)
    prompt.put_back(3, [THOUGHT], 30)
    with pytest.raises(ValueError, match="stays as Claude said it"):
        prompt.replace(3, text("fore"), "size_limits")


def test_a_thawed_prompt_goes_without_the_thinking_that_was_put_back() -> None:
    line, request = thoughtful()
    prompt = a_prompt(request, line)
    prompt.thaw()
    assert prompt.assemble(request, takes_mid_system=True) is request
    assert not prompt.puts_back


def test_thinking_that_was_refused_is_left_out_and_what_else_was_edited_stays() -> None:
    line, request = thoughtful()
    prompt = a_prompt(request, line)
    prompt.replace(4, text("5"), "size_limits")
    prompt.leave_out_thinking()
    assert prompt.thinking_refused
    messages = prompt.assemble(request, takes_mid_system=True)["messages"]
    assert [message["content"] for message in messages] == ["one", [text("two")], "three", "four", [text("5")]]
    assert sum(prompt.size(index) for index in range(5)) == sum(len(at.raw) for at in prompt.positions) - 3


def test_what_is_taken_back_keeps_the_thinking_that_stands_before_it() -> None:
    line, request = thoughtful()
    prompt = a_prompt(request, line)
    prompt.put_back(3, [THOUGHT], 30)
    prompt.replace(4, text("5"), "size_limits")
    prompt.take_back()
    assert (prompt.taken_back, prompt.frozen) == (4, 3)
    messages = prompt.assemble(request, takes_mid_system=True)["messages"]
    assert [len(message["content"]) for message in messages[1::2]] == [2, 2]
    assert messages[4]["content"] == "five"


def test_a_system_text_in_two_pieces_says_what_the_client_wrote_and_stays_when_all_else_is_taken_back() -> None:
    request = a_request(*TURNS, system="be brief. today")
    prompt = a_prompt(request)
    prompt.split(0, 10)
    prompt.replace(3, text("3"), "size_limits")
    prompt.take_back()
    assembled = prompt.assemble(request, takes_mid_system=True)
    assert (prompt.taken_back, assembled["system"]) == (3, [text("be brief. "), text("today")])
    assert assembled["messages"] == request["messages"]


def test_thinking_behind_what_is_taken_back_goes_with_it() -> None:
    first = a_prompt(a_request(("user", "one")))
    first.replace(0, text("1"), "size_limits")
    prompt = a_prompt(a_request(*TURNS), remembered(first))
    prompt.put_back(1, [THOUGHT], 30)
    prompt.take_back()
    assert prompt.assemble(a_request(*TURNS), takes_mid_system=True) == a_request(*TURNS)


def test_the_newest_turn_is_all_that_no_assistant_said_at_the_end() -> None:
    assert a_prompt(a_request(*TURNS, ("user", "four"))).newest == 2
    assert a_prompt(a_request(("user", "one"), ("assistant", "begun"))).newest == 2


def test_a_match_of_nothing_freezes_nothing() -> None:
    prompt = a_prompt(a_request(*TURNS))
    prompt.resume(Match(Line("line", "web", "test"), 0), 0.0)
    assert (prompt.frozen, prompt.cold) == (0, False)
