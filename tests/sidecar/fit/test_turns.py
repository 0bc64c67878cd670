"""System messages in mid-conversation and begun answers, fitted to models of each age."""

from typing import Any

import pytest

from sidecar.exchange import Json, Note
from sidecar.fit import fit
from sidecar.fit.turns import CONTINUE
from sidecar.models.catalogue import Catalogue

CATALOGUE = Catalogue()
TAKES, REFUSES = "claude-opus-5-5", "claude-sonnet-5-5"
CALL = {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "text"}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def user(*content: str | Json) -> Json:
    return {"role": "user", "content": [text(part) if isinstance(part, str) else part for part in content]}


def assistant(*content: str | Json) -> Json:
    return {**user(*content), "role": "assistant"}


def system(*content: str | Json) -> Json:
    return {**user(*content), "role": "system"}


def tagged(words: str) -> Json:
    return text(f"<system>\n{words}\n</system>")


def fitted(model: str, messages: list[Json], **fields: Any) -> tuple[list[Json], list[Note]]:
    request = {"model": model, "max_tokens": 9, "messages": messages, **fields}
    request, notes = fit(request, CATALOGUE.card(model), api_version="2026-10-21", default_max_tokens=None)
    return request["messages"], notes


MID_SYSTEM: dict[str, tuple[str, list[Json], list[Json]]] = {
    "behind a user's turn it stays, at the end": (
        TAKES,
        [user("a"), system("S")],
        [user("a"), system("S")],
    ),
    "behind a user's turn it stays, before an assistant's": (
        TAKES,
        [user("a"), system("S"), assistant("b"), user("c")],
        [user("a"), system("S"), assistant("b"), user("c")],
    ),
    "behind results of tools it stays": (
        TAKES,
        [user("a"), assistant(CALL), user(RESULT), system("S"), assistant("b"), user("c")],
        [user("a"), assistant(CALL), user(RESULT), system("S"), assistant("b"), user("c")],
    ),
    "two in a row stay as one": (
        TAKES,
        [user("a"), system("S"), system("T")],
        [user("a"), system("S", "T")],
    ),
    "between two turns of the user it becomes part of them": (
        TAKES,
        [user("a"), system("S"), user("b")],
        [user("a", tagged("S"), "b")],
    ),
    "behind an assistant's turn it becomes part of the user's": (
        TAKES,
        [user("a"), assistant("b"), system("S"), user("c")],
        [user("a"), assistant("b"), user(tagged("S"), "c")],
    ),
    "where no model takes it, it joins the turn before it": (
        REFUSES,
        [user("a"), system("S"), assistant("b"), user("c")],
        [user("a", tagged("S")), assistant("b"), user("c")],
    ),
    "where no model takes it, two join": (
        REFUSES,
        [user("a"), system("S"), system("T"), user("b")],
        [user("a", tagged("S"), tagged("T"), "b")],
    ),
    "between a call and its result it waits until the results are told": (
        REFUSES,
        [user("a"), assistant(CALL), system("S"), user(RESULT, "c")],
        [user("a"), assistant(CALL), user(RESULT, tagged("S"), "c")],
    ),
    "behind results and before the user's words it stays between them": (
        REFUSES,
        [user("a"), assistant(CALL), user(RESULT), system("S"), user("c")],
        [user("a"), assistant(CALL), user(RESULT, tagged("S"), "c")],
    ),
    "between two answers it is a turn of the user": (
        REFUSES,
        [user("a"), assistant("b"), system("S"), assistant("c"), user("d")],
        [user("a"), assistant("b"), user(tagged("S")), assistant("c"), user("d")],
    ),
    "at the end behind an answer it is a turn of the user": (
        REFUSES,
        [user("a"), assistant("b"), system("S")],
        [user("a"), assistant("b"), user(tagged("S"))],
    ),
    "at the beginning it opens the user's turn": (
        REFUSES,
        [system("S"), user("a")],
        [user(tagged("S"), "a")],
    ),
    "without words it is nothing": (
        REFUSES,
        [user("a"), assistant("b"), system(" "), user("c")],
        [user("a"), assistant("b"), user("c")],
    ),
}


class TestASystemMessageInMidConversation:
    @pytest.mark.parametrize("case", MID_SYSTEM)
    def test_keeps_its_place(self, case: str):
        model, messages, expected = MID_SYSTEM[case]
        assert fitted(model, messages)[0] == expected

    def test_that_becomes_user_text_is_told_as_no_loss(self):
        [note] = fitted(REFUSES, [user("a"), assistant("b"), system("S"), user("c")])[1]
        assert (note.field, note.action) == ("messages", "mapped")

    def test_are_reported_in_one_note_however_many_there_are(self):
        [note] = fitted(REFUSES, [user("a"), system("S"), assistant("b"), user("c"), system("T"), system("U")])[1]
        assert note.detail.endswith("3 times")
        assert fitted(TAKES, [user("a"), system("S")])[1] == []

    def test_may_be_a_plain_string_and_keeps_its_cache_mark(self):
        mark = {"cache_control": {"type": "ephemeral"}}
        messages = [{"role": "user", "content": "a"}, {"role": "system", "content": [{**text("S"), **mark}]}]
        assert fitted(REFUSES, messages)[0] == [user("a", {**tagged("S"), **mark})]
        messages = [user("a"), {"role": "system", "content": "S"}]
        assert fitted(REFUSES, messages)[0] == [user("a", tagged("S"))]


class TestABegunAnswer:
    def test_is_asked_for_in_a_turn_of_the_user_where_the_model_continues_none(self):
        messages, notes = fitted(TAKES, [user("a"), assistant("Once upon ")])
        assert messages == [user("a"), assistant("Once upon "), user(CONTINUE)]
        [note] = notes
        assert (note.field, note.action) == ("messages", "changed")

    def test_is_continued_by_the_models_that_can(self):
        messages = [user("a"), assistant("Once upon")]
        same, notes = fitted("claude-haiku-4-5", messages)
        assert same is messages
        assert notes == []

    def test_loses_the_blanks_at_its_end_which_the_api_refuses(self):
        messages, [note] = fitted("claude-haiku-4-5", [user("a"), assistant("Once", "upon \n")])
        assert messages[-1] == assistant("Once", "upon")
        assert note.action == "changed"

    @pytest.mark.parametrize(
        "fields",
        [
            {"max_tokens": 9_000, "thinking": {"type": "enabled", "budget_tokens": 2_000}},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ],
        ids=["thinking", "a form of answer"],
    )
    def test_is_asked_for_where_it_does_not_go_with(self, fields: Json):
        messages, _ = fitted("claude-haiku-4-5", [user("a"), assistant("Once")], **fields)
        assert messages[-1] == user(CONTINUE)

    @pytest.mark.parametrize("blank", [[], [text(" \n")], "", "  "])
    def test_without_a_word_in_it_is_left_out(self, blank: Any):
        messages, [note] = fitted(TAKES, [user("a"), {"role": "assistant", "content": blank}])
        assert messages == [user("a")]
        assert (note.field, note.action) == ("messages", "ignored")

    @pytest.mark.parametrize(
        "last",
        [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        ],
    )
    def test_is_not_what_a_paused_turn_of_server_tools_is(self, last: Json):
        messages = [user("a"), assistant("Let me see.", last)]
        assert fitted(TAKES, messages)[0] is messages
