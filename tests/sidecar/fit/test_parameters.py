"""Limits, sampling, the choice of tools and the form of the answer, fitted to models of each age."""

from typing import Any

import pytest

from sidecar.errors import GatewayError
from sidecar.exchange import Json, Note
from sidecar.fit import fit
from sidecar.models.catalogue import Catalogue, ModelCard

CATALOGUE = Catalogue()
TOOLS = [{"name": "read", "input_schema": {"type": "object"}}, {"name": "write", "input_schema": {"type": "object"}}]


def fitted(
    model: str, *, api_version: str = "2023-06-01", default: int | None = None, **fields: Any
) -> tuple[Json, list[Note]]:
    request = {"model": "asked", "messages": [{"role": "user", "content": "Hello."}], **fields}
    return fit(request, CATALOGUE.card(model), api_version=api_version, default_max_tokens=default)


def actions(notes: list[Note]) -> dict[str, str]:
    return {note.field: note.action for note in notes}


class TestTheModel:
    def test_is_the_one_that_answers(self):
        assert fitted("claude-opus-5-5")[0]["model"] == "claude-opus-5-5"

    def test_is_all_that_a_request_needs_that_fits_already(self):
        request = {"model": "claude-opus-5-5", "max_tokens": 10, "messages": [{"role": "user", "content": "Hello."}]}
        same, notes = fit(request, CATALOGUE.card("claude-opus-5-5"), api_version="2026-10-21", default_max_tokens=None)
        assert same is request
        assert notes == []


class TestMaxTokens:
    @pytest.mark.parametrize(
        ("model", "default", "asked", "sent"),
        [
            ("claude-opus-5-5", None, None, 64_000),
            ("claude-haiku-4-5", None, None, 64_000),
            ("claude-opus-5-5", 1_200, None, 1_200),
            ("claude-haiku-4-5", 100_000, None, 64_000),
            ("claude-opus-5-5", 1_200, 100_000, 100_000),
            ("claude-opus-5-5", None, 5, 5),
            ("claude-opus-5-5", None, 0, 0),
            ("claude-haiku-4-5", None, 128_000, 64_000),
        ],
    )
    def test_are_the_clients_else_the_users_else_what_the_model_needs(self, model, default, asked, sent):
        said = {} if asked is None else {"max_tokens": asked}
        request, notes = fitted(model, default=default, **said)
        assert request["max_tokens"] == sent
        lowered = asked is not None and sent != asked
        assert actions(notes) == ({"max_tokens": "mapped"} if lowered else {})


class TestSampling:
    @pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-opus-4-7", "claude-haiku-5-5", "claude-fable-5-2"])
    @pytest.mark.parametrize("api_version", ["2023-06-01", "2026-10-21"])
    def test_is_left_out_for_models_that_take_none(self, model: str, api_version: str):
        request, notes = fitted(model, api_version=api_version, temperature=0, top_p=0.9, top_k=40)
        assert not {"temperature", "top_p", "top_k"} & request.keys()
        assert actions(notes) == {"temperature": "dropped", "top_p": "dropped", "top_k": "dropped"}

    def test_is_left_out_for_every_model_under_the_version_that_knows_none(self):
        request, notes = fitted("claude-haiku-4-5", api_version="2026-10-21", temperature=0.5)
        assert "temperature" not in request
        assert actions(notes) == {"temperature": "dropped"}
        assert notes[0].detail == "Claude's API 2026-10-21 takes none", "it is not the model's doing"

    def test_at_its_default_is_no_loss(self):
        request, notes = fitted("claude-opus-5-5", temperature=1, top_p=1.0, top_k=None)
        assert not {"temperature", "top_p", "top_k"} & request.keys()
        assert notes == []

    @pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-opus-4-5", "claude-sonnet-4-6"])
    def test_passes_where_model_and_version_take_it(self, model: str):
        request, notes = fitted(model, temperature=0.2, top_k=40)
        assert (request["temperature"], request["top_k"]) == (0.2, 40)
        assert notes == []

    @pytest.mark.parametrize(("asked", "sent"), [(1.3, 1), (2, 1), (-0.5, 0)])
    def test_beyond_claudes_scale_is_brought_to_its_end(self, asked: float, sent: float):
        request, notes = fitted("claude-haiku-4-5", temperature=asked)
        assert request.get("temperature", 1) == sent  # what is Claude's own is left unsaid
        assert actions(notes) == {"temperature": "changed"}

    def test_takes_one_of_temperature_and_top_p(self):
        request, notes = fitted("claude-haiku-4-5", temperature=0.2, top_p=0.5)
        assert (request["temperature"], "top_p" in request) == (0.2, False)
        assert actions(notes) == {"top_p": "dropped"}

    def test_keeps_top_p_beside_a_temperature_that_says_nothing(self):
        request, notes = fitted("claude-haiku-4-5", temperature=1, top_p=0.5)
        assert ("temperature" in request, request["top_p"]) == (False, 0.5)
        assert notes == []

    def test_beside_thinking_keeps_only_a_high_top_p(self):
        thinking = {"type": "enabled", "budget_tokens": 2_000}
        request, notes = fitted("claude-haiku-4-5", thinking=thinking, temperature=0.2, top_p=0.97, top_k=4)
        assert ("temperature" in request, "top_k" in request, request.get("top_p")) == (False, False, 0.97)
        assert actions(notes) == {"temperature": "dropped", "top_k": "dropped"}
        assert "top_p" not in fitted("claude-haiku-4-5", thinking=thinking, top_p=0.5)[0]


class TestAForcedToolCall:
    @pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-2"])
    @pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "read"}])
    def test_is_asked_for_in_words_where_it_is_refused(self, model: str, choice: Json):
        request, notes = fitted(model, tools=TOOLS, tool_choice=choice)
        assert request["tool_choice"] == {"type": "auto"}
        [hello, sentence] = request["messages"][-1]["content"]
        assert hello == {"type": "text", "text": "Hello."}
        assert ("`read`" in sentence["text"]) == (choice["type"] == "tool")
        assert actions(notes) == {"tool_choice": "changed"}

    @pytest.mark.parametrize("model", ["claude-opus-5", "claude-sonnet-5", "claude-haiku-5-5", "claude-haiku-4-5"])
    def test_is_kept_where_it_is_taken(self, model: str):
        choice = {"type": "tool", "name": "read"}
        request, notes = fitted(model, max_tokens=9, tools=TOOLS, tool_choice=choice)
        assert request["tool_choice"] is choice
        assert request["messages"] == [{"role": "user", "content": "Hello."}]
        assert notes == []

    def test_is_asked_for_in_words_beside_a_budget_of_thinking(self):
        request, notes = fitted(
            "claude-haiku-4-5", tools=TOOLS, tool_choice={"type": "any"}, output_config={"effort": "low"}
        )
        assert request["tool_choice"] == {"type": "auto"}
        assert actions(notes)["tool_choice"] == "changed"

    def test_keeps_the_word_about_parallel_calls(self):
        choice = {"type": "any", "disable_parallel_tool_use": True}
        request, _ = fitted("claude-opus-5-5", tools=TOOLS, tool_choice=choice)
        assert request["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}

    def test_is_asked_for_behind_results_of_tools(self):
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "text"}
        messages = [
            {"role": "user", "content": "Read."},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}]},
            {"role": "user", "content": [result]},
        ]
        request, _ = fitted("claude-opus-5-5", tools=TOOLS, tool_choice={"type": "any"}, messages=messages)
        assert request["messages"][:2] == messages[:2]
        assert request["messages"][2]["content"][0] is result
        assert request["messages"][2]["content"][1]["type"] == "text"

    @pytest.mark.parametrize("choice", [{"type": "auto"}, {"type": "none"}])
    def test_is_not_what_auto_and_none_ask_for(self, choice: Json):
        request, notes = fitted("claude-opus-5-5", tools=TOOLS, tool_choice=choice)
        assert request["tool_choice"] is choice
        assert notes == []


SCHEMA = {"type": "object", "properties": {"größe": {"type": "integer"}}, "additionalProperties": False}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}}
TEXT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}}


class TestAModelThatCannotBeHeldToASchema:
    CARD = ModelCard(
        id="claude-plain-1",
        display_name="Claude Plain 1",
        created_at=CATALOGUE.card("claude-opus-5-5").created_at,
        max_tokens=1_000,
        structured_outputs=False,
        image_input=False,
        pdf_input=False,
    )

    def fitted(self, **fields: Any) -> tuple[Json, list[Note]]:
        request = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hello."}], **fields}
        return fit(request, self.CARD, api_version="2026-10-21", default_max_tokens=None)

    def test_is_asked_for_the_form_in_words(self):
        request, notes = self.fitted(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
        assert "output_config" not in request
        assert '"größe":{"type":"integer"}' in request["messages"][-1]["content"][-1]["text"]
        assert actions(notes) == {"output_config.format": "changed"}

    def test_gets_its_tools_without_strict(self):
        tools = [{**TOOLS[0], "strict": True}, {**TOOLS[1], "strict": False}, TOOLS[0]]
        request, notes = self.fitted(tools=tools)
        assert request["tools"] == [*TOOLS, TOOLS[0]]
        assert tools[0]["strict"]
        assert actions(notes) == {"tools[0].strict": "dropped"}

    @pytest.mark.parametrize(("block", "called"), [(IMAGE, "images"), (PDF, "PDF files")])
    def test_refuses_pictures_and_pdfs_that_it_cannot_read_wherever_they_are(self, block: Json, called: str):
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [block]}
        for content in ([block], [result]):
            with pytest.raises(GatewayError, match=f"claude-plain-1 does not read {called}") as caught:
                self.fitted(messages=[{"role": "user", "content": content}])
            assert caught.value.status == 400

    def test_reads_documents_of_plain_text(self):
        assert self.fitted(messages=[{"role": "user", "content": [TEXT]}])[1] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": "Hello."},
        {"messages": ["Hello."]},
        {"messages": [{"content": "Hello."}]},
        {"messages": [{"role": "user"}]},
        {"messages": None},
        {"tools": {}},
        {"tools": ["read"]},
        {"thinking": "yes"},
        {"thinking": {"type": ["adaptive"]}},
        {"output_config": []},
        {"output_config": {"effort": 3}},
        {"tool_choice": "any"},
        {"max_tokens": "many"},
    ],
)
def test_what_has_not_the_shape_of_a_request_is_a_400_that_names_the_field(fields: Json):
    with pytest.raises(GatewayError) as caught:
        fitted("claude-opus-5-5", **fields)
    assert caught.value.status == 400
    assert caught.value.param
    assert caught.value.param.startswith(next(iter(fields)))
