"""What holds for every decision, whatever the request, the standing and the prices."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.accounts.prices import Prices
from sidecar.economy.switching import Candidate, spending, switch
from sidecar.routing.decide import ERRAND_OUTPUT, MONEY, TURN_OUTPUT, Route, Situation, decide
from sidecar.routing.findings import Trouble
from sidecar.routing.rules import LANES, WISHES, table_of
from sidecar.routing.standing import Standing
from sidecar.routing.subject import Subject
from tests.support.thorough import examples

NOW = datetime(2026, 11, 28, tzinfo=UTC)
MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5", "claude-fable-5-2")
HAIKU, SONNET, OPUS, _ = MODELS
PRICES = Prices()
TABLE = table_of({})
TITLE = "you are a title generator. you output only a thread title."

TOKENS = st.integers(0, 400_000)
SUBJECTS = st.builds(
    Subject,
    client=st.sampled_from(["aider", "claude-code", "unknown"]),
    purpose=st.sampled_from(["", TITLE, "you are cline, an ai coding agent."]),
    task=st.sampled_from(["", "fix the deadlock", "rename it", "design a migration, existing rows must not be lost"]),
    tools=st.integers(0, 2),
    max_tokens=st.none() | st.integers(1, 4_000),
    first=st.booleans(),
    results=st.booleans(),
    thinks=st.booleans(),
    trouble=st.builds(Trouble, *[st.integers(0, 3)] * 4),
)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    wish = draw(st.sampled_from(WISHES))
    lanes = {lane: draw(st.lists(st.sampled_from(MODELS), min_size=1, max_size=3, unique=True)) for lane in LANES}
    last = draw(st.none() | st.sampled_from(MODELS))
    standing = draw(
        st.none()
        | st.builds(
            Standing,
            model=st.sampled_from(MODELS),
            lane=st.sampled_from(LANES[1:]),
            base=st.sampled_from(LANES[1:]),
            wish=st.sampled_from(WISHES),
            until=st.just(1),
            link=st.just(""),
            thought=st.booleans(),
        )
    )
    usable = {model for lane in lanes.values() for model in lane} | ({last} if last else set())
    if standing is not None and draw(st.booleans()):
        usable.add(standing.model)
    prompt = draw(TOKENS)
    return Situation(
        wish=wish,
        lanes=lanes,
        candidates={
            model: Candidate(model, PRICES.row(model, NOW), draw(st.integers(0, prompt))) for model in sorted(usable)
        },
        standing=standing,
        last=last,
        prompt=prompt,
        growth=draw(st.integers(0, 5_000)),
        further=draw(st.integers(0, 30)),
    )


def cost(situation: Situation, model: str, *, output: int, further: int) -> int:
    growth = situation.growth if further else 0
    return spending(
        situation.candidates[model], prompt=situation.prompt, growth=growth, output=output, further=further
    )[-1]


@settings(max_examples=examples(100))
@given(SUBJECTS, situations())
def test_what_is_chosen_for_money_never_costs_more_than_to_stay(subject: Subject, situation: Situation) -> None:
    route = decide(subject, situation, TABLE)
    small = route.lane == "errand"
    usual = ERRAND_OUTPUT if small else TURN_OUTPUT
    output = usual if subject.max_tokens is None else min(usual, subject.max_tokens)
    further = 0 if small else situation.further

    def costs(model: str) -> int:
        return cost(situation, model, output=output, further=further)

    if route.reason in MONEY:
        assert route.stay is not None
        assert costs(route.model) <= costs(route.stay)
    if route.reason == "warm":
        assert costs(route.model) < costs(situation.lanes["errand"][0])


@settings(max_examples=examples(100))
@given(SUBJECTS, situations())
def test_only_models_that_may_be_used_are_chosen_and_the_same_again(subject: Subject, situation: Situation) -> None:
    route = decide(subject, situation, TABLE)
    assert route.model in situation.candidates
    assert route == decide(subject, situation, TABLE)
    assert [picos for _, picos in route.costs] == sorted(picos for _, picos in route.costs)


@settings(max_examples=examples(100))
@given(SUBJECTS, situations())
def test_a_conversation_changes_its_model_for_trouble_or_money_alone(subject: Subject, situation: Situation) -> None:
    route, standing = decide(subject, situation, TABLE), situation.standing
    begun = standing is not None and standing.wish == situation.wish and standing.model in situation.candidates
    looping = subject.results and (subject.thinks or (standing is not None and standing.thought))
    if looping and situation.last is not None:
        assert (route.model, route.reason) == (situation.last, "tool loop")
    if begun and standing is not None and route.keep is not None:
        if standing.model not in (route.model, route.keep.model):
            assert route.reason in ("trouble", "cheaper")
            assert not looping
        if route.reason == "tool loop":
            assert route.keep == standing
        else:
            assert route.keep.model == route.model
    assert (route.keep is None) == (route.lane == "errand") or route.reason == "tool loop"


@given(SUBJECTS, situations())
def test_a_decision_can_be_told_in_a_header_and_in_numbers(subject: Subject, situation: Situation) -> None:
    route = decide(subject, situation, TABLE)
    assert route.header().startswith(f"{route.model}; reason={route.reason}")
    assert "\n" not in route.header()
    assert all(isinstance(value, int | str) for value in route.numbers().values())


def situation(**fields: Any) -> Situation:
    candidates = {model: Candidate(model, PRICES.row(model, NOW), fields.pop(model, 0)) for model in MODELS[:3]}
    lanes = {"errand": [HAIKU], "ordinary": [SONNET], "complex": [OPUS]}
    return Situation(**{"wish": "auto", "lanes": lanes, "candidates": candidates, "prompt": 50_000, **fields})


def routed(subject: Subject, **fields: Any) -> Route:
    return decide(subject, situation(**fields), TABLE)


ERRAND = Subject(client="opencode", purpose=TITLE)


def test_an_errand_goes_to_haiku_even_beside_a_warm_prompt_of_up_to_100_000_tokens() -> None:
    route = routed(ERRAND, **{OPUS: 48_000}, last=OPUS)
    assert (route.model, route.reason) == (HAIKU, "errand")


def test_an_errand_stays_where_its_prompt_is_warm_and_too_long_for_haikus_low_price() -> None:
    route = routed(ERRAND, **{SONNET: 150_000}, prompt=150_500, last=SONNET)
    assert (route.model, route.reason) == (SONNET, "warm")
    assert "stayed: 1 request would cost" in route.why


RAISED = Standing(OPUS, "complex", "ordinary", "auto", 3, "00")


def test_when_the_trouble_is_over_it_comes_down_only_where_that_pays() -> None:
    calm = Subject(client="cline", tools=3, first=False)
    assert routed(calm, standing=RAISED, last=OPUS, further=16, **{OPUS: 48_000}).reason == "cheaper"
    stays = routed(calm, standing=RAISED, last=OPUS, further=1, **{OPUS: 48_000})
    assert (stays.model, stays.reason) == (OPUS, "sticky")
    assert stays.trade is not None
    assert stays.trade.move_cost > stays.trade.stay_cost


def test_a_loop_that_another_model_thinks_in_stays_with_that_one_and_the_conversation_with_its_own() -> None:
    standing = Standing(OPUS, "complex", "complex", "auto", 3, "00", thought=True)
    result = Subject(client="cline", tools=3, first=False, results=True)
    loop = routed(result, standing=standing, last=SONNET)  # a fallback, or one that the client named
    assert (loop.model, loop.reason, loop.keep) == (SONNET, "tool loop", standing)
    again = routed(replace(result, results=False), standing=standing, last=SONNET)
    assert (again.model, again.reason) == (OPUS, "sticky")
    other = routed(result, standing=replace(standing, wish="best"))
    assert (other.model, other.reason) == (OPUS, "tool loop")


def test_going_up_shows_what_it_costs() -> None:
    standing = Standing(SONNET, "ordinary", "ordinary", "auto", 3, "00")
    wrong = Subject(client="cline", tools=3, first=False, trouble=Trouble(complaints=1))
    route = routed(wrong, standing=standing, last=SONNET, further=0, prompt=90_000, **{SONNET: 88_000})
    assert (route.model, route.reason) == (OPUS, "trouble")
    row = PRICES.row(OPUS, NOW)
    expected = switch(
        Candidate(SONNET, PRICES.row(SONNET, NOW), 88_000),
        Candidate(OPUS, row),
        prompt=90_000,
        growth=2_000,
        output=TURN_OUTPUT,
        further=0,
    )
    assert route.trade == expected


def test_a_conversation_of_a_named_dear_model_that_is_left_to_us_comes_down_only_where_that_pays() -> None:
    ordinary = Subject(client="cline", tools=3, first=False)
    assert routed(ordinary, last=OPUS, further=0, **{OPUS: 48_000}).model == OPUS
    assert routed(ordinary, last=OPUS, further=16, **{OPUS: 48_000}).model == SONNET
