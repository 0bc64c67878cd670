"""What the dashboard computes without a screen: the filter language, the log of requests, numbers, texts."""

from __future__ import annotations

import copy
import json
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.told_sidecar import CENT, MISS, NOON, exchange, row
from tui import text
from tui.drawing import large, size
from tui.filters import OPERATORS, FilterError, parse
from tui.request_log import RequestLog
from tui.request_row import row_from_wire
from tui.shapes import EVENTS, EXCHANGE, ROW, Each, Maybe, Often, Shape, whole
from tui.sidecar_client import harmless
from tui.themes import DARK, NO_COLOUR, THEMES
from tui.widgets import exchange_texts
from tui.widgets.request_columns import COLUMNS, fitting
from tui.widgets.stacked_plot import Plot, Series

# --- the filter language

ONE = row_from_wire(row(1, model_asked="opus", model="claude-opus-5-5", cost_picos=12 * CENT, miss=MISS, retries=1))


@pytest.mark.parametrize(
    "told",
    [
        "",
        "aider",
        "AIDER web",
        '"claude-opus-5-5"',
        "~m opus",
        "~m claude-opus & ~p web",
        "~m opus | ~p nowhere",
        "!~p nowhere",
        "!(~p nowhere | ~t cline)",
        "~s 200",
        "~s 2xx",
        "~s ok",
        "~i >40k",
        "~i 42200",
        "~i <=42.2k",
        "~o =512",
        "~$ >0.10",
        "~$ <13c",
        "~$ $0.12",
        "~d >4s",
        "~d <5000ms",
        "~f >0.5",
        "~l references",
        "~l 'prompt",
        "~c hit",
        "~x monday",
        "~y",
        "~v c0ffee ~r alias",
    ],
)
def test_a_filter_finds(told: str) -> None:
    assert parse(told)(ONE) is (told != "~l 'prompt")


@pytest.mark.parametrize(
    "told", ["~m sonnet", "~e", "~s 5xx", "~s left", "~$ >1", "~i <1k", "!web", "web & !aider", "~x tools"]
)
def test_a_filter_leaves_out(told: str) -> None:
    assert not parse(told)(ONE)


@pytest.mark.parametrize(
    ("told", "said", "position"),
    [
        ("~q", "there is no ~q", 1),
        ("~m", "a value behind ~m is missing", 2),
        ("~i many", "~i takes a number", 3),
        ("~s 999", "~s takes a status", 3),
        ("(web", "a parenthesis is not closed", 0),
        ("web)", "`)` is not expected here", 3),
        ('"web', "a quote is not closed", 0),
        ("web |", "something to look for is missing", 5),
        ("(" * 99 + "web", "too many parentheses", 102),
        ("web " * 300, "a filter has 1,000 characters at most, and this one 1,200", 1_000),
        ('  web  "x  ', "a quote is not closed", 7),
    ],
)
def test_a_wrong_filter_says_what_and_where(told: str, said: str, position: int) -> None:
    with pytest.raises(FilterError) as wrong:
        parse(told)
    assert str(wrong.value).startswith(said)
    assert wrong.value.position == position


@given(st.text(max_size=40) | st.text('~!&|()" mpi$s5x>k1', max_size=25))
def test_any_text_is_a_filter_or_says_where_it_is_none(told: str) -> None:
    position = 0
    try:
        assert parse(told)(ONE) in {True, False}
    except FilterError as error:
        position = error.position
    assert 0 <= position <= len(told)


PARTS = st.sampled_from(["web", "nowhere", "~m opus", "~m haiku", "~s ok", "~e", "~i >40k", "~i <1"])


@given(PARTS, PARTS)
def test_operators_mean_what_they_say(one: str, other: str) -> None:
    first, second = parse(one)(ONE), parse(other)(ONE)
    assert parse(f"{one} & {other}")(ONE) is parse(f"{one} {other}")(ONE) is (first and second)
    assert parse(f"{one} | {other}")(ONE) is (first or second)
    assert parse(f"!{one}")(ONE) is not first
    assert parse(f"!({one} | {other})")(ONE) is (not first and not second)


def test_every_operator_is_explained() -> None:
    assert len({operator.letter for operator in OPERATORS}) == len(OPERATORS)
    assert all(operator.told for operator in OPERATORS)


# --- the log

IDS = st.integers(0, 12)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hello"), st.lists(IDS, max_size=5)),
        st.tuples(st.just("history"), st.lists(IDS, max_size=5)),
        st.tuples(st.just("begun"), st.lists(IDS, max_size=3)),
        st.tuples(st.just("ended"), st.lists(IDS, max_size=3)),
        st.tuples(st.just("ticks"), st.lists(IDS, max_size=3)),
        st.tuples(st.just("run"), st.lists(IDS, max_size=3)),
    ),
    max_size=12,
)


def took(log: RequestLog, kind: str, ids: list[int]) -> None:
    match kind:
        case "hello":
            log.hello({"time": NOON, "rows": [row(number) for number in ids]})
        case "history":
            log.history([row(number) for number in ids])
        case "run":
            log.run({f"req_{number}" for number in ids})
        case "ticks":
            tick = {"output_tokens": 1, "first_byte_ms": 1.0, "elapsed_ms": 2.0}
            log.batch({"time": NOON, "ticks": [{"id": f"req_{number}", **tick} for number in ids]})
        case _:
            rows = [row(number, state="running" if kind == "begun" else "ok") for number in ids]
            log.batch({"time": NOON, kind: rows})


@given(STEPS)
def test_whatever_comes_in_whatever_order_each_request_is_there_once_and_found(
    steps: list[tuple[str, list[int]]],
) -> None:
    log, known, ended = RequestLog(), set[str](), set[str]()
    for kind, ids in steps:
        took(log, kind, ids)
        if kind == "run":
            assert {one.id for one in log if one.running} <= {f"req_{number}" for number in ids}
        elif kind != "ticks":
            known |= {f"req_{number}" for number in ids}
        if kind == "ended":
            ended |= {f"req_{number}" for number in ids}
    assert sorted(one.id for one in log) == sorted(known)
    assert all(log.at(log.place(one.id) or 0) is one for one in log)
    assert all(log.at(log.place(name) or 0).state == "ok" for name in ended)


def test_a_request_whose_end_is_lost_does_not_run_for_ever_and_the_ledger_tells_how_it_ended() -> None:
    log = RequestLog()
    counting, asking = row(1, state="running", kind="count_tokens"), row(2, state="running")
    log.batch({"time": NOON, "begun": [counting, asking, row(3, state="running")]})
    assert log.run({"req_3"}) == 2
    assert [one.state for one in log] == ["unseen", "unseen", "running"]
    log.history([row(2)])
    assert [one.state for one in log] == ["unseen", "ok", "running"], "no ledger has a count of tokens"
    assert log.run({"req_3"}) == 0
    assert parse("~s unseen")(log.at(0))
    assert not parse("~e")(log.at(0)), "nobody knows that it failed"
    log.batch({"time": NOON, "ended": [row(1)]})
    assert log.at(0).state == "ok"


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
def test_the_newest_are_kept_and_no_more(count: int, most: int, slack: int) -> None:
    log = RequestLog(most=most, slack=slack)
    log.batch({"time": NOON, "begun": [row(number) for number in range(count)]})
    assert len(log) <= most + slack
    assert log.rows[-1].id == f"req_{count - 1}"
    assert [one.id for one in log] == [f"req_{number}" for number in range(count - len(log), count)]


# --- sidecars of other versions

ODD = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3) | st.just([]) | st.just({})
)


def of_shape(shape: Shape, value: Any) -> bool:
    match shape:
        case Maybe():
            return value is None or of_shape(shape.shape, value)
        case dict():
            return all(of_shape(inner, value[name]) for name, inner in shape.items())
        case list():
            return all(of_shape(shape[0], one) for one in value)
        case Each():
            return all(of_shape(shape.shape, one) for one in value.values())
        case _:
            return shape is None or type(value) is type(shape)


@given(
    st.dictionaries(st.sampled_from(sorted(ROW)), ODD, max_size=5), st.sets(st.sampled_from(sorted(ROW)), max_size=5)
)
def test_a_row_of_another_version_is_shown_as_far_as_it_goes(other: dict[str, Any], missing: set[str]) -> None:
    mine = copy.deepcopy(other)  # what is in it is made whole where it is
    told = {name: value for name, value in row(1, **mine, shoe_size=43).items() if name not in missing}
    strange = set[str]()
    made = whole(ROW, told, strange, "row")
    assert of_shape(ROW, made)
    assert strange >= {f"row.{name}" for name in missing if not isinstance(ROW[name], Maybe)}
    assert {".".join(name.split(".")[:2]) for name in strange} <= {f"row.{name}" for name in {*other, *missing}}
    assert all(column.cell(row_from_wire(made)) for column in COLUMNS)


def test_a_row_of_this_version_is_taken_as_it_is_and_no_kind_of_value_is_trusted_for_another() -> None:
    shape, strange = Often({"count": 0, "miss": Maybe({"cost": 0})}), set[str]()
    assert whole(shape, {"count": 1, "miss": None}, strange) == {"count": 1, "miss": None}
    assert whole(shape, {"count": 2, "miss": {"cost": 3}}, strange) == {"count": 2, "miss": {"cost": 3}}
    assert not strange
    for _ in range(2):
        assert whole(shape, {"count": "x", "miss": {"cost": []}}, strange) == {"count": 0, "miss": {"cost": 0}}
    assert strange == {"count", "miss.cost"}


@given(
    st.recursive(ODD, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["row", "rows", "cost"]), inner))
)
def test_whatever_comes_is_made_whole(told: Any) -> None:
    for shape in (*EVENTS.values(), EXCHANGE):
        assert of_shape(shape, whole(shape, json.loads(json.dumps(told)), set()))


# --- numbers and texts


@given(st.integers(-(9 * 10**16), 9 * 10**16), st.booleans(), st.booleans())
def test_money_fits_its_column_and_says_what_is_estimated(picos: int, sign: bool, estimated: bool) -> None:
    told = text.dollars(picos, sign=sign, estimated=estimated)
    assert len(told) <= 9
    assert told.startswith("~") is estimated
    assert sign or large(told)


@given(st.integers(-(10**11), 10**11))
def test_tokens_fit_their_column(count: int) -> None:
    assert len(text.tokens(count).removeprefix("-")) <= 5


@given(st.floats(0, 3_599_000))
def test_durations_fit_their_column(milliseconds: float) -> None:
    assert len(text.milliseconds(milliseconds)) <= 7


@given(st.floats(-2, 3), st.integers(1, 60))
def test_a_bar_has_its_width(share: float, width: int) -> None:
    assert len(text.bar(share, width)) == width


@given(st.text(max_size=80), st.integers(1, 40))
def test_a_text_is_cut_to_its_width_on_one_line(said: str, width: int) -> None:
    assert len(text.cut(said, width)) <= width
    assert "\n" not in text.cut(said, width)


@given(st.lists(st.integers(0, 10**9), max_size=60), st.integers(1, 40))
def test_a_sparkline_shows_the_newest(values: list[int], width: int) -> None:
    assert len(text.sparkline(values, width)) == min(width, len(values))


@pytest.mark.parametrize(
    ("say", "shown"),
    [
        (lambda: text.dollars(0), "$0.00"),
        (lambda: text.dollars(13 * CENT, sign=True), "+$0.1300"),
        (lambda: text.dollars(-123_456 * CENT), "-$1,235"),
        (lambda: text.dollars(1), "<$0.0001"),
        (lambda: text.dollars(-1), "-<$0.0001"),
        (lambda: text.dollars(1, sign=True, estimated=True), "~+$0.0000"),
        (lambda: text.dollars(13 * CENT, sign=True, estimated=1), "~+$0.1300"),
        (lambda: text.dollars(1, sign=True), "+<$0.0001"),
        (lambda: text.tokens(999), "999"),
        (lambda: text.tokens(999_999), "1.0M"),
        (lambda: text.milliseconds(None), "-"),
        (lambda: text.milliseconds(125_000), "2m05s"),
        (lambda: text.duration(187), "3 min 07 s"),
        (lambda: text.duration(7500), "2 h 05 min"),
        (lambda: text.ago(200), "3 min ago"),
        (lambda: text.percent(1, 0), "-"),
        (lambda: text.percent(1, 3), "33%"),
        (lambda: text.percent(1, 30), "3.3%"),
    ],
)
def test_numbers_read_well(say: Callable[[], str], shown: str) -> None:
    assert say() == shown


@given(st.recursive(st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner), max_leaves=8))
def test_nothing_that_steers_a_terminal_comes_through(content: Any) -> None:
    told = harmless(json.dumps(content).encode())
    plain = harmless(
        json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()
    )
    for parsed in (told, plain):
        for char in json.dumps(parsed, ensure_ascii=False):
            assert unicodedata.category(char) not in {"Cc", "Cf"} or char in SEEN


SEEN = {*map(chr, range(0x600, 0x606)), *"\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"}
"""Format characters that are seen: signs before numbers and the like."""


def test_no_character_that_is_not_seen_comes_through_raw_or_escaped() -> None:
    unseen = [char for char in map(chr, range(0x110000)) if unicodedata.category(char) == "Cf" and char not in SEEN]
    assert {"\u202e", "\u2066", "\u200b", "\ufeff", "\U000e0041"} <= {*unseen}
    for char in (*unseen, "\u2028", "\u2029"):
        for written in (json.dumps([char]), json.dumps([char], ensure_ascii=False)):
            assert harmless(written.encode()) == ["\ufffd"]
    assert harmless('["\\\\u202e", "é – \U0001f600", "\\ud83d\\ude00", "a\\tb"]'.encode()) == [
        "\\u202e",
        "é – \U0001f600",
        "\U0001f600",
        "a\tb",
    ]


@given(st.integers(10, 260))
def test_the_columns_that_are_chosen_fit(width: int) -> None:
    chosen = fitting(width)
    assert sum(size + 1 for _, size in chosen) <= max(width, 30)
    assert all(column.least <= size <= column.most for column, size in chosen)
    assert [column for column, _ in chosen] == [column for column in COLUMNS if column in [one for one, _ in chosen]]


def test_no_width_cuts_an_amount_of_money() -> None:
    least = row_from_wire(row(1, cost_picos=1, saved_picos=1, estimated=True))
    for width in range(20, 260):
        for column, cells in fitting(width):
            assert column.name not in {"Cost", "Saved"} or len(column.cell(least)[0]) <= cells


@given(st.integers(0, 2 * 10**17), st.integers(14, 90))
def test_a_plot_has_its_width_whatever_its_amounts(most: int, width: int) -> None:
    plot = Plot((Series("paid", "accent", [most, 0, most // 3]),), text.dollars, lambda _: "12:00")
    assert {size(line) for line in plot.lines(width, 9, shaded=False)[:-2]} <= {width}


# --- the texts of a detail

COLOURS = dict.fromkeys(("primary", "secondary", "accent", "success", "warning", "error"), "#ffffff")


def test_the_themes_have_the_colours_that_texts_ask_for() -> None:
    assert all(getattr(DARK, name) for name in COLOURS)


def test_no_theme_has_one_colour_for_two_amounts_of_a_plot() -> None:
    for theme in THEMES:
        if theme is not NO_COLOUR:  # it has shades
            assert len({theme.primary, theme.accent, theme.success}) == len({theme.success, theme.error, "x"}) == 3


@given(before=st.text(max_size=300), after=st.text(max_size=300), saved=st.none() | st.integers(-(10**13), 10**13))
def test_any_edit_is_told_and_never_longer_than_a_screen_or_three(before: str, after: str, saved: int | None) -> None:
    edit = {**exchange(row(1))["edits"][0], "before": before, "after": after, "saved_picos": saved}
    told = exchange_texts.difference([edit], False, COLOURS).plain
    assert told.startswith("file references  messages[4].content[0]")


def test_a_long_passage_is_shown_without_its_middle() -> None:
    told = exchange_texts.difference(exchange(row(1))["edits"], False, COLOURS).plain
    assert "... 30 more lines removed" in told
    assert all(f"-line {number}\n" in told for number in (0, 7, 38, 39))
    assert "-line 8\n" not in told


def test_an_exchange_without_edits_says_whether_a_byte_differs() -> None:
    assert "Byte for byte" in exchange_texts.difference([], True, COLOURS).plain
    assert "its form" in exchange_texts.difference([], False, COLOURS).plain


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"type": "text", "text": "hello"}, "hello"),
        ({"type": "thinking", "thinking": ""}, "only its signature came"),
        ({"type": "redacted_thinking", "data": "x"}, "only Claude can read"),
        ({"type": "tool_use", "name": "read", "input": {"path": "a.py"}}, '"path": "a.py"'),
        ({"type": "something_new", "x": 1}, "something_new"),
    ],
)
def test_every_kind_of_block_is_told(block: dict[str, Any], said: str) -> None:
    assert said in exchange_texts.answer({"content": [block]}, COLOURS).plain


@given(st.text(max_size=200))
def test_a_body_that_is_no_json_is_shown_as_it_is(body: str) -> None:
    shown = exchange_texts.pretty(body)
    assert shown == body or json.loads(shown) == json.loads(body)


# --- what could go wrong


def test_a_miss_is_claudes_and_not_that_our_own_cache_had_no_answer() -> None:
    held, missed = row_from_wire(row(1)), row_from_wire(row(2, prompt_cache="miss"))
    ours = row_from_wire(row(3, cache="HIT", prompt_cache="none"))
    for told in ("~c miss", "miss"):
        assert [parse(told)(one) for one in (held, missed, ours)] == [False, True, False]
    assert [parse("~c hit")(one) for one in (held, missed, ours)] == [True, False, True]


def test_a_place_that_was_known_once_has_a_row_for_ever_after() -> None:
    log = RequestLog(most=10, slack=5)
    log.batch({"time": NOON, "begun": [row(2 * number) for number in range(14)]})
    end = log.end
    log.history([row(2 * number + 1) for number in range(10)])
    assert log.end >= end
    assert len(log) == 10
    assert all(log.place(one.id) == place for place, one in enumerate(log, log.first))


@pytest.mark.parametrize("bad", ["\x7f", "\x9b", "\ud800", "\u202e", "\u2066", "\ufeff", "\U000e0041"])
def test_a_body_keeps_escaped_what_steers_a_terminal_and_what_no_file_takes(bad: str) -> None:
    told = exchange_texts.pretty(json.dumps({"said": bad}))
    assert bad not in told
    assert json.loads(told) == {"said": bad}


def test_a_body_that_is_nested_deeply_is_shown_as_it_is() -> None:
    body = "[" * 100_000 + "]" * 100_000
    assert exchange_texts.pretty(body) == body


@pytest.mark.parametrize("said", ["a\tb", "a\rb", "a\x0bb"])
def test_a_cell_has_nothing_that_moves_the_cursor(said: str) -> None:
    assert text.fit(said, 6) == "a b   "


def test_more_is_not_called_less() -> None:
    sheet = {**exchange(row(1))["cost"], "baseline_picos": CENT, "total_picos": 2 * CENT}
    colours = dict.fromkeys(("success", "error"), "#ffffff")
    assert exchange_texts.cost(sheet, colours).plain.endswith("\n100% more than without")
