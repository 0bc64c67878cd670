"""Positions, prefixes and what is known of them."""

import tracemalloc
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.conversation import (
    Accepted,
    Line,
    Position,
    Sent,
    common_prefix,
    in_frozen_order,
    match,
    positions_of,
    rolling,
    texts_of,
    unmarked,
    with_texts,
)

MARK = {"type": "ephemeral"}


def a_request(*messages: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in messages], **fields}


def flattened(request: dict[str, Any]) -> list[Position]:
    positions = positions_of(request)
    assert positions is not None
    return positions


def a_line(request: dict[str, Any]) -> Line:
    line = Line("line", "web", "test")
    line.extend(Sent(at.digest, at.raw, at.zone, at.role, len(at.raw)) for at in flattened(request))
    return line


def matched(line: Line, request: dict[str, Any]) -> Any:
    positions = flattened(request)
    return match(line, positions, rolling("web", [at.digest for at in positions]))


def test_a_request_is_read_as_claude_reads_it_tools_then_system_then_messages() -> None:
    positions = flattened(
        a_request(("user", "hi"), ("assistant", [{"type": "text", "text": "a"}]), system="s", tools=[{"name": "t"}])
    )
    assert [(at.zone, at.role, at.message, at.kind) for at in positions] == [
        ("tools", "", -1, "tool"),
        ("system", "", -1, "text"),
        ("messages", "user", 0, "text"),
        ("messages", "assistant", 1, "text"),
    ]


def test_text_and_its_block_form_are_the_same_position() -> None:
    [short], [long] = (
        flattened(a_request(("user", "hi"))),
        flattened(a_request(("user", [{"type": "text", "text": "hi"}]))),
    )
    assert short.digest == long.digest


def test_a_cache_marker_is_no_part_of_a_block() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}]}
    marked = {**result, "content": [{"type": "text", "text": "x", "cache_control": {**MARK, "ttl": "1h"}}]}
    [plain], [with_mark] = flattened(a_request(("user", [result]))), flattened(a_request(("user", [marked])))
    assert plain.digest == with_mark.digest
    assert (plain.ttl, with_mark.ttl) == (None, "1h")
    assert unmarked({"type": "text", "text": "x", "cache_control": MARK}) == ({"type": "text", "text": "x"}, "5m")


DEEP: Any = {}
for _ in range(300):
    DEEP = {"deeper": DEEP}


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"messages": "hello"},
        {"messages": [{"content": "no role"}]},
        {"messages": [{"role": "user", "content": ["text"]}]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "\ud800"}]}]},
        {"messages": [], "tools": 7},
        {"messages": [{"role": "user", "content": [{"type": {}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": 1.5}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text"}]}]}]},
        {"messages": [{"role": "user", "content": "hi"}], "thinking": DEEP},
    ],
)
def test_an_odd_shape_is_left_to_the_api(request_: dict[str, Any]) -> None:
    assert positions_of(request_) is None


@given(st.lists(st.sampled_from([b"a", b"b"]), max_size=12), st.lists(st.sampled_from([b"a", b"b"]), max_size=12))
def test_halving_finds_the_same_prefix_as_walking(one: list[bytes], other: list[bytes]) -> None:
    walked = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        walked += 1
    assert common_prefix(rolling("web", one), rolling("web", other)) == walked


def test_what_is_kept_of_a_block_takes_no_more_room_than_it_needs() -> None:
    request_ = {"messages": [{"role": "user", "content": [{"type": "text", "text": "x" * 900} for _ in range(100)]}]}
    tracemalloc.start()
    try:
        raws = [position.raw for position in positions_of(request_) or ()]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(map(len, raws)) < taken < 2 * sum(map(len, raws))


def test_two_projects_share_no_prefix() -> None:
    assert common_prefix(rolling("web", [b"a"]), rolling("app", [b"a"])) == 0


def test_a_request_that_goes_on_matches_the_whole_line() -> None:
    line = a_line(a_request(("user", "one")))
    found = matched(line, a_request(("user", "one"), ("assistant", "two"), ("user", "three")))
    assert (found.common, found.changed, found.whole) == (1, (), True)


def test_a_fork_matches_up_to_where_it_leaves() -> None:
    line = a_line(a_request(("user", "one"), ("assistant", "two"), ("user", "three"), ("assistant", "four")))
    found = matched(line, a_request(("user", "one"), ("assistant", "two"), ("user", "else"), ("assistant", "5")))
    assert (found.common, found.changed, found.whole) == (2, (), False)


def test_a_changed_block_is_told_where_all_else_matches() -> None:
    line = a_line(a_request(("user", "one"), ("assistant", "two"), system="it is 10:01"))
    goes_on = (("user", "one"), ("assistant", "two"), ("user", "three"))
    assert matched(line, a_request(*goes_on, system="it is 10:02")).changed == (0,)


def test_a_change_is_no_change_of_this_conversation_where_the_request_does_not_go_on() -> None:
    line = a_line(a_request(("user", "one"), system="it is 10:01"))
    assert matched(line, a_request(("user", "one"), system="it is 10:02")).changed == ()


def test_changed_tools_are_never_a_change_to_repair() -> None:
    line = a_line(a_request(("user", "one"), tools=[{"name": "old"}]))
    assert matched(line, a_request(("user", "one"), ("assistant", "two"), tools=[{"name": "new"}])).changed == ()


def test_tools_in_another_order_go_back_into_theirs() -> None:
    first, second = {"name": "a"}, {"name": "b"}
    line = a_line(a_request(("user", "one"), tools=[first, second]))
    now = flattened(a_request(("user", "one"), tools=[second, first]))
    assert [at.block for at in in_frozen_order(line, now)][:2] == [first, second]
    other = flattened(a_request(("user", "one"), tools=[second]))
    assert in_frozen_order(line, other) is other


blocks_with_texts = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=5)),
    st.builds(lambda text: {"type": "tool_result", "tool_use_id": "t", "content": text}, st.text(max_size=5)),
    st.builds(
        lambda texts: {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": [{"type": "image"}, *({"type": "text", "text": text} for text in texts)],
        },
        st.lists(st.text(max_size=5), max_size=3),
    ),
    st.just({"type": "tool_use", "id": "t", "name": "n", "input": {"text": "x"}}),
)


@given(blocks_with_texts)
def test_putting_back_its_own_texts_changes_nothing(block: dict[str, Any]) -> None:
    texts = texts_of(block)
    assert not texts or with_texts(block, texts) == block


@given(blocks_with_texts)
def test_other_texts_come_back_as_they_were_put_in(block: dict[str, Any]) -> None:
    other = [f"new {text}" for text in texts_of(block)]
    assert not other or texts_of(with_texts(block, other)) == other


def test_a_line_is_cold_once_the_longest_lifetime_has_run_out() -> None:
    line = a_line(a_request(("user", "one")))
    assert not line.is_cold(1e9)
    line.accept(Accepted(now=1000.0, model="m", until=1, tokens=5, marks={0: "1h"}))
    line.accept(Accepted(now=2000.0, model="m", until=1, tokens=5, marks={0: "5m"}))
    assert not line.is_cold(2000.0 + 3599)
    assert line.is_cold(2000.0 + 3600)


@given(
    st.lists(st.tuples(st.sampled_from([1.0, 400.0]), st.sampled_from(["5m", "1h", "1d", None])), max_size=6),
    st.sampled_from([0.0, 299.0, 300.0, 3_599.0, 3_600.0]),
    st.sampled_from([0.0, 1_000.0, 3_000.0, 9_000.0]),
)
def test_a_line_is_warm_for_as_long_as_the_longest_of_its_lifetimes(
    requests: list[tuple[float, str | None]], after: float, warm_until: float
) -> None:
    line, now = a_line(a_request(("user", "one"))), 0.0
    line.warm_until = warm_until
    for gap, ttl in requests:
        now += gap
        line.accept(Accepted(now=now, model="m", until=1, tokens=5, marks={0: ttl} if ttl else {}))
    longest = 3_600.0 if any(ttl == "1h" for _, ttl in requests) else 300.0
    assert line.is_cold(now + after) is (bool(requests) and now + after >= max(now + longest, warm_until))


def test_a_fork_knows_only_the_requests_that_it_shares() -> None:
    line = a_line(a_request(("user", "one"), ("assistant", "two"), ("user", "three")))
    line.accept(Accepted(now=1.0, model="m", until=1, tokens=5))
    line.accept(Accepted(now=2.0, model="m", until=3, tokens=9))
    fork = line.fork("other", 2)
    assert [one.until for one in fork.requests] == [1]
    assert (fork.chain, fork.sizes) == (line.chain[:2], line.sizes[:2])


@given(st.lists(st.tuples(st.text(max_size=2), st.text(max_size=2))), st.lists(st.text(max_size=2)), st.booleans())
def test_a_lines_hashes_are_those_of_its_positions_whoever_had_them_already(
    before: list[tuple[str, str]], new: list[str], changed: bool
) -> None:
    """The line's first positions may have been renewed since the request came that ends it."""
    asked = flattened(a_request(*(("user", words) for words in [*(pair[changed] for pair in before), *new])))
    chain = rolling("web", [at.digest for at in asked])
    line = a_line(a_request(*(("user", words) for words, _ in before)))
    sent = [Sent(at.digest, at.raw, at.zone, at.role, len(at.raw)) for at in asked[len(before) :]]
    line.extend(sent, chain)
    assert line.chain == rolling("web", [one.digest for one in line.sent])
    assert line.fork("fork", len(before)).chain == line.chain[: len(before)]
    assert line.sizes == [*accumulate(one.size for one in line.sent)]
