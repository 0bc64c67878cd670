"""Tools, the choice among them and structured output in a chat completions request."""

from typing import Any

import pytest

from sidecar.dialects.openai.response_format import ANY_OBJECT
from sidecar.dialects.openai_chat import Decoded, decode
from sidecar.errors import GatewayError
from tests.support.messages_requests import assert_claude_takes

HELLO = [{"role": "user", "content": "Hello"}]
EMPTY = {"type": "object", "properties": {}}
PATH = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}


def function(name: str = "read", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


def decoded(*tools: Any, **fields: Any) -> Decoded:
    made = decode({"model": "m", "messages": HELLO, **({"tools": list(tools)} if tools else {}), **fields})
    assert_claude_takes(made.request)
    return made


def actions(made: Decoded) -> list[str]:
    return [note.action for note in made.notes]


ROWS = [
    (
        "a function",
        function(description="d", parameters=PATH),
        {"name": "read", "description": "d", "input_schema": PATH},
        [],
    ),
    ("no parameters", function(), {"name": "read", "input_schema": EMPTY}, []),
    (
        "null everywhere",
        function(description=None, parameters=None, strict=None),
        {"name": "read", "input_schema": EMPTY},
        [],
    ),
    ("an empty schema", function(parameters={}), {"name": "read", "input_schema": EMPTY}, []),
    (
        "strict is kept",
        function(parameters=PATH, strict=True),
        {"name": "read", "strict": True, "input_schema": PATH},
        [],
    ),
    ("not strict is the default", function(parameters=PATH, strict=False), {"name": "read", "input_schema": PATH}, []),
    (
        "a strict tool of open objects is not strict any more",
        function(parameters={"type": "object", "additionalProperties": {"type": "string"}}, strict=True),
        {"name": "read", "input_schema": {"type": "object", "additionalProperties": {"type": "string"}}},
        ["changed"],
    ),
    (
        "a schema of another type",
        function(parameters={"type": "string"}),
        {"name": "read", "input_schema": EMPTY},
        ["changed"],
    ),
    (
        "variants at the root become one object",
        function(
            parameters={
                "anyOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}}]
            }
        ),
        {"name": "read", "input_schema": {"type": "object", "properties": {"a": {}, "b": {}}}},
        ["changed"],
    ),
    (
        "Claude's own tool",
        {"name": "read", "input_schema": PATH, "cache_control": {"type": "ephemeral"}},
        {"name": "read", "input_schema": PATH, "cache_control": {"type": "ephemeral"}},
        [],
    ),
    (
        "a server tool",
        {"type": "web_search_20260318", "name": "web_search"},
        {"type": "web_search_20260318", "name": "web_search"},
        [],
    ),
    (
        "the flat form of the Responses API",
        {"type": "function", "name": "read", "parameters": PATH},
        {"name": "read", "input_schema": PATH},
        [],
    ),
    (
        "a custom tool takes one string",
        {"type": "custom", "custom": {"name": "patch", "description": "d"}},
        {
            "name": "patch",
            "description": "d",
            "input_schema": {
                "type": "object",
                "properties": {"input": {"type": "string"}},
                "required": ["input"],
                "additionalProperties": False,
            },
        },
        ["mapped"],
    ),
]


@pytest.mark.parametrize(("tool", "sent", "notes"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_tool_as_claude_sees_it(tool: dict[str, Any], sent: dict[str, Any], notes: list[str]):
    made = decoded(tool)
    assert made.request["tools"] == [sent]
    assert actions(made) == notes


def test_the_keys_of_a_schema_keep_their_order():
    schema = {"required": ["b"], "properties": {"b": {"type": "string"}, "a": {"type": "string"}}, "type": "object"}
    for strict in (False, True):
        sent = decoded(function(parameters=schema, strict=strict)).request["tools"][0]["input_schema"]
        assert list(sent)[:3] == ["required", "properties", "type"]
        assert list(sent["properties"]) == ["b", "a"]


def test_a_grammar_is_told_where_it_cannot_be_enforced():
    form = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: WORD"}}
    made = decoded({"type": "custom", "custom": {"name": "patch", "format": form}})
    assert "start: WORD" in made.request["tools"][0]["description"]
    assert made.custom_tools == {"patch"}
    assert actions(made) == ["changed", "mapped"]


def test_the_history_of_a_custom_tool_keeps_its_input():
    call = {"id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    history = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
    ]
    made = decoded({"type": "custom", "custom": {"name": "patch"}}, messages=history)
    assert made.request["messages"][1]["content"][0]["input"] == {"input": "*** Begin"}


def test_names_that_claude_refuses_are_renamed_in_tools_history_and_choice_alike():
    call = {"id": "a", "type": "function", "function": {"name": "fs.read", "arguments": "{}"}}
    history = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]
    choice = {"type": "function", "function": {"name": "fs.read"}}
    made = decoded(function("fs.read"), messages=history, tool_choice=choice)
    sent = made.request["tools"][0]["name"]
    assert made.tool_names == {sent: "fs.read"}
    assert made.request["messages"][1]["content"][0]["name"] == sent
    assert made.request["tool_choice"] == {"type": "tool", "name": sent}


def test_a_renamed_tool_never_takes_the_name_of_another():
    taken = decoded(function("a.b")).request["tools"][0]["name"]
    made = decoded(function("a.b"), function(taken), function("a.b", description="another"))
    sent = [tool["name"] for tool in made.request["tools"]]
    assert len(set(sent)) == 3
    assert [made.tool_names[name] for name in sent] == ["a.b", taken, "a.b"]


def test_a_tool_defined_twice_in_the_same_words_is_sent_once():
    made = decoded(function(parameters=PATH), function(parameters=PATH))
    assert len(made.request["tools"]) == 1
    assert actions(made) == ["ignored"]


def test_the_older_functions_are_tools_and_the_client_is_known_by_them():
    made = decoded(functions=[{"name": "read", "parameters": PATH}], function_call={"name": "read"})
    assert made.request["tools"] == [{"name": "read", "input_schema": PATH}]
    assert made.request["tool_choice"] == {"type": "tool", "name": "read", "disable_parallel_tool_use": True}
    assert made.legacy_functions
    assert not decoded(function()).legacy_functions


@pytest.mark.parametrize("choice", [{}, {"function_call": "auto"}, {"parallel_tool_calls": True}])
def test_a_client_of_the_older_functions_gets_one_call_at_a_time(choice: dict[str, Any]):
    made = decoded(functions=[{"name": "read"}], **choice)
    assert made.request["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert decoded(functions=[{"name": "read"}], function_call="none").request["tool_choice"] == {"type": "none"}


CHOICES = [
    ("auto is the default", {"tool_choice": "auto"}, None),
    ("so is true parallelism", {"tool_choice": "auto", "parallel_tool_calls": True}, None),
    ("none", {"tool_choice": "none"}, {"type": "none"}),
    ("none has nothing to do one at a time", {"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
    ("required", {"tool_choice": "required"}, {"type": "any"}),
    ("one function", {"tool_choice": function("b")}, {"type": "tool", "name": "b"}),
    ("one function, flat", {"tool_choice": {"type": "function", "name": "b"}}, {"type": "tool", "name": "b"}),
    ("Claude's own choice", {"tool_choice": {"type": "tool", "name": "b"}}, {"type": "tool", "name": "b"}),
    ("Claude's own any", {"tool_choice": {"type": "any"}}, {"type": "any"}),
    ("one at a time", {"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    (
        "required, one at a time",
        {"tool_choice": "required", "parallel_tool_calls": False},
        {"type": "any", "disable_parallel_tool_use": True},
    ),
    (
        "one allowed and required",
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [function("b")]}}},
        {"type": "tool", "name": "b"},
    ),
]


@pytest.mark.parametrize(("fields", "expected"), [row[1:] for row in CHOICES], ids=[row[0] for row in CHOICES])
def test_a_choice_of_tools_as_claude_sees_it(fields: dict[str, Any], expected: dict[str, Any] | None):
    made = decoded(function("a"), function("b"), **fields)
    assert made.request.get("tool_choice") == expected
    assert len(made.request["tools"]) == 2
    assert made.notes == []


def test_only_allowed_tools_are_sent():
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [function("c"), function("a")]}}
    made = decoded(function("a"), function("b"), function("c"), tool_choice=allowed)
    assert [tool["name"] for tool in made.request["tools"]] == ["a", "c"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": ["read"]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "magic"}]}, "tools[0].type"),
        ({"tools": [function("")]}, "tools[0].name"),
        ({"tools": [function(parameters=[])]}, "tools[0].function.parameters"),
        ({"tools": [function(strict="yes")]}, "tools[0].function.strict"),
        ({"functions": [7]}, "functions[0]"),
        ({"tools": [function()], "tool_choice": "maybe"}, "tool_choice"),
        ({"tools": [function()], "tool_choice": function("write")}, "tool_choice"),
        ({"tools": [function()], "tool_choice": ["read"]}, "tool_choice"),
        ({"tools": [function()], "parallel_tool_calls": "no"}, "parallel_tool_calls"),
        (
            {"tools": [function()], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": []}}},
            "tool_choice.allowed_tools.tools",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_malformed_tool_or_choice_is_a_400_that_names_the_field(fields: dict[str, Any], param: str):
    with pytest.raises(GatewayError) as refusal:
        decoded(**fields)
    assert (refusal.value.status, refusal.value.param) == (400, param)


def by_schema(schema: dict[str, Any], **more: Any) -> Decoded:
    return decoded(response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **more}})


def test_a_strict_schema_is_enforced_under_its_name():
    made = by_schema(PATH, strict=True, description="where")
    schema = made.request["output_config"]["format"]["schema"]
    assert schema == PATH | {"title": "answer", "description": "where"}
    assert made.notes == []


def test_a_schema_that_leaves_objects_open_unsaid_is_closed():
    nested = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "integer"}}}}}
    schema = by_schema(nested).request["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["a"]["additionalProperties"] is False


def test_limits_that_claude_does_not_enforce_are_told_to_it_and_reported():
    made = by_schema({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "description": "count"}}})
    number = made.request["output_config"]["format"]["schema"]["properties"]["n"]
    assert number == {"type": "integer", "description": "count\n\n{minimum: 1}"}
    assert actions(made) == ["changed"]
    assert "minimum" in made.notes[0].detail


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "object"}, id="an object of any keys"),
        pytest.param({"type": "object", "additionalProperties": {"type": "integer"}}, id="a map"),
        pytest.param(
            {"$ref": "#/$defs/t", "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}}, id="recursion"
        ),
        pytest.param({"type": "object", "properties": {"a": {"$ref": "https://x/y"}}}, id="a reference elsewhere"),
        pytest.param({"type": "object", "properties": {"a": {}}}, id="a value of any type"),
    ],
)
def test_a_schema_that_claude_cannot_be_held_to_is_asked_for_in_words(schema: dict[str, Any]):
    made = by_schema(schema)
    assert "output_config" not in made.request
    assert "JSON Schema" in made.request["system"][-1]["text"]
    assert actions(made) == ["changed"]


def nullable(properties: int) -> dict[str, Any]:
    """A strict schema as OpenAI wants it: what is optional may be null."""
    named = {f"p{number}": {"type": ["string", "null"]} for number in range(properties)}
    return {"type": "object", "properties": named, "required": list(named), "additionalProperties": False}


def optional(properties: int) -> dict[str, Any]:
    named = {f"p{number}": {"type": "string"} for number in range(properties)}
    return {"type": "object", "properties": named, "additionalProperties": False}


def strict_tools(made: Decoded) -> list[str]:
    return [tool["name"] for tool in made.request["tools"] if tool.get("strict")]


@pytest.mark.parametrize("schema", [nullable(17), optional(25)])
def test_a_schema_that_claude_cannot_compile_is_asked_for_in_words(schema: dict[str, Any]):
    made = by_schema(schema)
    assert "output_config" not in made.request
    assert "JSON Schema" in made.request["system"][-1]["text"]
    assert "more than" in made.notes[0].detail


def test_tools_beyond_what_claude_compiles_for_one_request_are_sent_as_they_are_and_held_to_nothing():
    schemas = [nullable(10), nullable(7), nullable(6), optional(24), optional(1), PATH]
    made = decoded(*(function(f"t{n}", parameters=schema, strict=True) for n, schema in enumerate(schemas)))
    assert strict_tools(made) == ["t0", "t2", "t3", "t5"]
    assert [tool["input_schema"] for tool in made.request["tools"]] == schemas
    assert [(note.field, note.action) for note in made.notes] == [
        ("tools[1].function.strict", "changed"),
        ("tools[4].function.strict", "changed"),
    ]


def test_of_many_strict_tools_the_first_twenty_are_held_to_their_schemas():
    tools = [function(f"t{number}", parameters=PATH, strict=True) for number in range(23)]
    made = decoded(*tools)
    assert strict_tools(made) == [f"t{number}" for number in range(20)]
    assert [(note.action, "3 times" in note.detail) for note in made.notes] == [("changed", True)]
    fewer = decoded(*tools[:21]).request["tools"]
    assert made.request["tools"][:21] == fewer, "a tool that is added changes none before it"


def test_a_form_of_answer_changes_no_tool():
    tool = function(parameters=nullable(10), strict=True)
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": nullable(7)}}
    made = decoded(tool, response_format=form)
    assert made.request["tools"] == decoded(tool).request["tools"]
    assert "output_config" not in made.request
    assert actions(made) == ["changed"]


def test_any_json_object_is_asked_for_after_the_system_text_of_the_client():
    made = decoded(
        messages=[{"role": "system", "content": "Be brief."}, *HELLO], response_format={"type": "json_object"}
    )
    assert [block["text"] for block in made.request["system"]] == ["Be brief.", ANY_OBJECT]


def test_effort_and_format_share_one_output_config():
    made = decoded(
        reasoning_effort="low", response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": PATH}}
    )
    assert made.request["output_config"].keys() == {"effort", "format"}
