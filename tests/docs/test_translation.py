"""docs/translation.md against OpenAI's published schema and the tables of the code: a row for everything, and true."""

import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from sidecar.dialects.openai.content import PARTS
from sidecar.dialects.openai.errors import TYPE_AND_CODE
from sidecar.dialects.openai.parameters import NATIVE
from sidecar.dialects.openai.schema_limits import MOST_OPTIONAL, MOST_TOOLS, MOST_UNIONS
from sidecar.dialects.openai_chat import FINISH_REASONS
from sidecar.dialects.openai_chat.parameters import NOT_HONOURED, WITHOUT_EFFECT
from sidecar.dialects.openai_responses import STATUSES
from sidecar.dialects.openai_responses import parameters as responses
from sidecar.dialects.openai_responses.items import NOT_FOR_CLAUDE, READERS
from sidecar.exchange import LOSSY_ACTIONS, NoteAction
from tests.support.openai_schema import fields_of

PAGE = (Path(__file__).parents[2] / "docs" / "translation.md").read_text("utf-8")
MESSAGES = ("System", "Developer", "User", "Assistant", "Tool", "Function")


@cache
def table(first_heading: str) -> dict[str, list[str]]:
    """The rows of the table whose first column has this heading, under the code in their first cells; all of its code
    leads to the row where a cell has several."""
    rows: dict[str, list[str]] = {}
    lines = iter(PAGE.splitlines())
    for line in lines:
        if line.startswith(f"| {first_heading} |"):
            next(lines)
            break
    else:
        raise LookupError(first_heading)
    for line in lines:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split(" |")]
        for name in re.findall(r"`([^`]+)`", cells[0]):
            rows.setdefault(name, cells)
    return rows


def code_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def fields_that_become(action: str) -> set[str]:
    return {name for name, cells in table("field").items() if cells[1] == action}


def test_every_field_of_a_request_has_a_row() -> None:
    assert table("field").keys() == fields_of("CreateChatCompletionRequest")


def test_the_fields_said_to_be_lost_are_those_that_are() -> None:
    assert fields_that_become("dropped") == NOT_HONOURED.keys()
    assert fields_that_become("ignored") == WITHOUT_EFFECT.keys() | {"metadata"}


def test_every_field_of_claudes_own_that_goes_through_is_named() -> None:
    [paragraph] = [part for part in PAGE.split("\n\n") if part.startswith("Claude's own fields")]
    assert {*code_in(paragraph)} == NATIVE.keys() | {"extra_body", "system", "stop_sequences", "dropped"}


@pytest.mark.parametrize("role", MESSAGES)
def test_every_message_and_every_field_in_it_has_a_row(role: str) -> None:
    assert role.lower() in table("message")
    assert fields_of(f"ChatCompletionRequest{role}Message") - {"role"} <= table("in a message").keys()


def test_every_content_part_has_a_row() -> None:
    assert {kind for parts in PARTS.values() for kind in parts} <= table("content part").keys()


def test_every_field_of_an_answer_has_a_row() -> None:
    rows = {name.rpartition(".")[2] for name in table("field of the answer")}
    wanted = fields_of("CreateChatCompletionResponse") | fields_of("ChatCompletionResponseMessage")
    assert (wanted | fields_of("CompletionUsage")) - {"choices", "role", "usage"} <= rows


def test_every_stop_reason_stands_beside_what_it_becomes() -> None:
    told = {reason: code_in(cells[1])[0] for reason, cells in table("Claude's `stop_reason`").items()}
    assert told == FINISH_REASONS


def test_every_error_stands_beside_what_it_becomes() -> None:
    told = {kind: (code_in(cells[1])[0], cells[2]) for kind, cells in table("Anthropic's type").items()}
    assert told.keys() == TYPE_AND_CODE.keys()
    for kind, (type_, code) in TYPE_AND_CODE.items():
        assert told[kind][0] == type_
        assert code is None or f"`{code}`" in told[kind][1]


def test_strict_refuses_what_the_page_says() -> None:
    refused = {action for action, cells in table("action").items() if cells[2] == "refused"}
    assert refused == LOSSY_ACTIONS
    assert table("action").keys() == {*get_args(NoteAction)}


def test_the_limits_of_schemas_are_those_of_the_code() -> None:
    [row] = [line for line in PAGE.splitlines() if line.startswith("| more strict tools")]
    assert [int(number) for number in re.findall(r"\d+", row)] == [MOST_TOOLS, MOST_OPTIONAL, MOST_UNIONS]


def test_every_field_of_a_responses_request_has_a_row_that_is_true() -> None:
    rows = table("field of a response")
    wanted = ResponseCreateParamsBase.__required_keys__ | ResponseCreateParamsBase.__optional_keys__ | {"stream"}
    assert rows.keys() == wanted | {"client_metadata"}
    assert {name for name, cells in rows.items() if cells[1] == "dropped"} == responses.NOT_HONOURED.keys()
    assert {name for name, cells in rows.items() if cells[1] == "refused"} == responses.REFUSED.keys()
    ignored = {name for name, cells in rows.items() if cells[1] == "ignored"}
    assert ignored == responses.WITHOUT_EFFECT.keys() | {"metadata"}


def test_every_item_has_a_row_and_those_that_are_dropped_are_said_to_be() -> None:
    rows = table("item")
    assert rows.keys() >= READERS.keys() | NOT_FOR_CLAUDE.keys() | {"item_reference"}
    assert {name for name, cells in rows.items() if cells[1] == "`dropped`."} == NOT_FOR_CLAUDE.keys()


def test_every_stop_reason_stands_beside_the_status_it_becomes() -> None:
    rows = table("`stop_reason` of Claude's")
    assert {reason: code_in(cells[1])[0] for reason, cells in rows.items()} == {
        reason: status for reason, (status, _) in STATUSES.items()
    }
    for reason, (_, why) in STATUSES.items():
        assert code_in(rows[reason][2])[:1] == ([why] if why else [])
