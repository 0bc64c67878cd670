"""Histories of all kinds as Claude's turns. Each row of the table is a conversation and what Claude sees of it."""

from typing import Any

import pytest

from sidecar.dialects.openai.turns import EMPTY_MESSAGE, NO_RESULT, NOTHING_SAID
from sidecar.dialects.openai_chat import Decoded, decode
from sidecar.errors import GatewayError
from tests.support.messages_requests import all_blocks, assert_claude_takes

Message = dict[str, Any]


def system(words: Any, **more: Any) -> Message:
    return {"role": "system", "content": words, **more}


def user(words: Any, **more: Any) -> Message:
    return {"role": "user", "content": words, **more}


def assistant(words: Any = None, *calls: Message, **more: Any) -> Message:
    return {"role": "assistant", "content": words, **({"tool_calls": list(calls)} if calls else {}), **more}


def call(call_id: str, arguments: Any = "{}", name: str = "read") -> Message:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool(call_id: str, content: Any = "done", **more: Any) -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


DEEP = '{"a": ' + "[" * 1000 + "]" * 1000 + "}"
TOOLS = [{"type": "function", "function": {"name": "read"}}]


def decoded(*messages: Message, tools: list[Message] | None = None) -> Decoded:
    made = decode({"model": "m", "messages": list(messages), "tools": TOOLS if tools is None else tools})
    assert_claude_takes(made.request)
    return made


def seen(made: Decoded) -> list[str]:
    """Turns in short: `user: text | result a=done`."""
    return [f"{turn['role']}: " + " | ".join(map(_short, turn["content"])) for turn in made.request["messages"]]


def _short(block: Message) -> str:
    match block["type"]:
        case "text":
            return str(block["text"])
        case "tool_use":
            return f"call {block['id']}"
        case "tool_result":
            return f"result {block['tool_use_id']}={block.get('content', '')}"
        case kind:
            return str(kind)


ROWS = [
    (
        "question and answer alternate as they are",
        [user("a"), assistant("b"), user("c")],
        ["user: a", "assistant: b", "user: c"],
        [],
    ),
    (
        "a trailing assistant message stays, as the beginning of the answer",
        [user("a"), assistant("b ")],
        ["user: a", "assistant: b "],
        [],
    ),
    (
        "messages of one role become one turn, in their order",
        [user("a"), user("b"), assistant("c"), assistant("d"), user("e")],
        ["user: a | b", "assistant: c | d", "user: e"],
        [],
    ),
    (
        "all results of a turn become one message, in the order of the calls, before what the user says",
        [user("go"), assistant(None, call("a"), call("b")), tool("b", "2"), tool("a", "1"), user("and?")],
        ["user: go", "assistant: call a | call b", "user: result a=1 | result b=2 | and?"],
        [],
    ),
    (
        "text beside calls stays before them, and empty text beside calls is no loss",
        [user("go"), assistant("so:", call("a")), tool("a"), assistant("", call("b")), tool("b")],
        ["user: go", "assistant: so: | call a", "user: result a=done", "assistant: call b", "user: result b=done"],
        [],
    ),
    (
        "calls in several assistant messages are one turn",
        [user("go"), assistant(None, call("a")), assistant(None, call("b")), tool("a", "1"), tool("b", "2")],
        ["user: go", "assistant: call a | call b", "user: result a=1 | result b=2"],
        [],
    ),
    (
        "a result after text is moved in front of it",
        [user("go"), assistant(None, call("a"), call("b")), tool("a"), user("wait"), tool("b")],
        ["user: go", "assistant: call a | call b", "user: result a=done | result b=done | wait"],
        ["repaired"],
    ),
    (
        "a call without a result is answered in words",
        [user("go"), assistant(None, call("a"), call("b")), tool("b"), assistant("ok"), user("x")],
        [
            "user: go",
            "assistant: call a | call b",
            f"user: result a={NO_RESULT} | result b=done",
            "assistant: ok",
            "user: x",
        ],
        ["repaired"],
    ),
    (
        "calls at the very end are answered too",
        [user("go"), assistant("hm", call("a"))],
        ["user: go", "assistant: hm | call a", f"user: result a={NO_RESULT}"],
        ["repaired"],
    ),
    (
        "a result that nobody asked for becomes text in tags",
        [user("go"), tool("lost", "42"), assistant("ok"), user("x")],
        ['user: go | <tool_result tool_call_id="lost">\n42\n</tool_result>', "assistant: ok", "user: x"],
        ["repaired"],
    ),
    (
        "a result that comes a turn late is no answer any more",
        [user("go"), assistant(None, call("a")), user("hm"), assistant("ok"), tool("a", "late")],
        [
            "user: go",
            "assistant: call a",
            f"user: result a={NO_RESULT} | hm",
            "assistant: ok",
            'user: <tool_result tool_call_id="a">\nlate\n</tool_result>',
        ],
        ["repaired", "repaired"],
    ),
    (
        "a second result of a call becomes text",
        [user("go"), assistant(None, call("a")), tool("a", "1"), tool("a", "2")],
        ["user: go", "assistant: call a", 'user: result a=1 | <tool_result tool_call_id="a">\n2\n</tool_result>'],
        ["repaired"],
    ),
    (
        "a history that was cut off at its head opens with a turn of the user",
        [tool("a", "1"), assistant("ok")],
        ['user: <tool_result tool_call_id="a">\n1\n</tool_result>', "assistant: ok"],
        ["repaired"],
    ),
    (
        "an assistant that speaks first gets a user before it",
        [system("s"), assistant("Welcome!"), user("hi")],
        [f"user: {NOTHING_SAID}", "assistant: Welcome!", "user: hi"],
        ["repaired"],
    ),
    ("system text alone gets a user to answer", [system("s")], [f"user: {NOTHING_SAID}"], ["repaired"]),
    (
        "an empty user message says that it is empty",
        [user(""), assistant("?"), user([])],
        [f"user: {EMPTY_MESSAGE}", "assistant: ?", f"user: {EMPTY_MESSAGE}"],
        ["repaired"],
    ),
    ("an empty user message beside another is no loss", [user(""), user("hi")], ["user: hi"], []),
    ("an empty assistant message is left out", [user("a"), assistant(""), user("b")], ["user: a | b"], ["repaired"]),
    (
        "blank parts are left out, the others keep their blanks",
        [user([{"type": "text", "text": " \n"}, {"type": "text", "text": " a "}])],
        ["user:  a "],
        ["ignored"],
    ),
    (
        "system messages in the middle stay where they are",
        [system("s"), user("a"), system("t"), assistant("b"), user("c"), {"role": "developer", "content": "u"}],
        ["user: a", "system: t", "assistant: b", "user: c", "system: u"],
        [],
    ),
    (
        "a system message between a call and its result waits for the result",
        [user("a"), assistant(None, call("x")), system("t"), tool("x"), user("b")],
        ["user: a", "assistant: call x", "user: result x=done", "system: t", "user: b"],
        ["repaired"],
    ),
    ("an empty system message in the middle is no loss", [user("a"), system(""), user("b")], ["user: a | b"], []),
    (
        "the older function_call is a call and its function message the result",
        [
            user("go"),
            assistant(None, function_call={"name": "read", "arguments": "{}"}),
            {"role": "function", "name": "read", "content": "1"},
            assistant(None, function_call={"name": "read", "arguments": "{}"}),
            {"role": "function", "name": "read", "content": "2"},
        ],
        [
            "user: go",
            "assistant: call read",
            "user: result read=1",
            "assistant: call read_c616ce6e",
            "user: result read_c616ce6e=2",
        ],
        [],
    ),
    (
        "Claude's own blocks on this route are calls and results as well",
        [
            user("go"),
            assistant([{"type": "text", "text": "so:"}, {"type": "tool_use", "id": "a", "name": "read", "input": {}}]),
            user([{"type": "text", "text": "there"}, {"type": "tool_result", "tool_use_id": "a", "content": "1"}]),
        ],
        ["user: go", "assistant: so: | call a", "user: result a=1 | there"],
        [],
    ),
    (
        "thinking goes back untouched, empty text with a signature included",
        [
            user("go"),
            assistant(
                [
                    {"type": "thinking", "thinking": "", "signature": "s"},
                    {"type": "redacted_thinking", "data": "d"},
                    {"type": "text", "text": "ok"},
                ]
            ),
            user("x"),
        ],
        ["user: go", "assistant: thinking | redacted_thinking | ok", "user: x"],
        [],
    ),
    (
        "thinking without a signature cannot go back",
        [user("a"), assistant([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "b"}])],
        ["user: a", "assistant: b"],
        ["dropped"],
    ),
    (
        "a refusal is what the assistant said",
        [user("a"), assistant(None, refusal="No."), user("b")],
        ["user: a", "assistant: No.", "user: b"],
        [],
    ),
    (
        "what clients echo from an answer is passed over",
        [
            user("a"),
            assistant(
                "b",
                id="x",
                index=0,
                reasoning_content="hm",
                reasoning="hm",
                provider_specific_fields={},
                audio=None,
                annotations=[],
                refusal=None,
                function_call=None,
            ),
        ],
        ["user: a", "assistant: b"],
        [],
    ),
    (
        "a speaker's name has no place",
        [user("a", name="jo"), assistant("b"), user("c", name="jo")],
        ["user: a", "assistant: b", "user: c"],
        ["dropped"],
    ),
    (
        "the name of a tool beside its result is known already",
        [user("a"), assistant(None, call("x")), tool("x", name="read")],
        ["user: a", "assistant: call x", "user: result x=done"],
        [],
    ),
]


@pytest.mark.parametrize(("messages", "turns", "actions"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_history_as_claude_sees_it(messages: list[Message], turns: list[str], actions: list[str]):
    made = decoded(*messages)
    assert seen(made) == turns
    assert [note.action for note in made.notes] == actions


def test_only_the_leading_system_run_becomes_the_system_prompt():
    made = decoded(
        system("a"), {"role": "developer", "content": [{"type": "text", "text": "b"}]}, user("hi"), system("c")
    )
    assert [block["text"] for block in made.request["system"]] == ["a", "b"]


def test_ids_that_a_history_uses_twice_are_renamed_the_same_way_on_every_turn():
    turn = [assistant(None, call("x")), tool("x")]
    short, long = decoded(user("go"), *turn * 2), decoded(user("go"), *turn * 3)
    assert short.request["messages"] == long.request["messages"][:5]
    ids = [block["id"] for block in all_blocks(long.request) if block.get("type") == "tool_use"]
    assert ids[0] == "x"
    assert len(set(ids)) == 3
    assert [note.action for note in long.notes] == ["mapped"]


def test_ids_with_characters_that_claude_refuses_are_renamed_with_their_results():
    made = decoded(user("go"), assistant(None, call("functions.read:0")), tool("functions.read:0"))
    assert seen(made)[1:] == [
        "assistant: call functions_read_0_d00f64d1",
        "user: result functions_read_0_d00f64d1=done",
    ]


def test_two_calls_of_one_turn_that_share_an_id_get_their_results_in_order():
    made = decoded(user("go"), assistant(None, call("x"), call("x")), tool("x", "1"), tool("x", "2"))
    assert [block["content"] for block in made.request["messages"][2]["content"]] == ["1", "2"]


@pytest.mark.parametrize(
    ("arguments", "expected", "kept_whole"),
    [
        ('{"b": 1, "a": {"d": 2.50, "c": []}}', {"b": 1, "a": {"d": 2.5, "c": []}}, False),
        ("", {}, False),
        (None, {}, False),
        ({"a": 1}, {"a": 1}, False),
        ('{"n": 18446744073709551615}', {"n": 18446744073709551615}, False),
        ('{"n": 1e30}', {"n": 1e30}, False),
        ('{"n": 123456789012345678901234567890}', {"arguments": '{"n": 123456789012345678901234567890}'}, True),
        ('{"a": ', {"arguments": '{"a": '}, True),
        ("[1, 2]", {"arguments": "[1, 2]"}, True),
        pytest.param(DEEP, {"arguments": DEEP}, True, id="too deep"),
        ('{"a": "\\ud800"}', {"arguments": '{"a": "\\ud800"}'}, True),
    ],
)
def test_arguments_become_an_object_in_their_order_or_stay_whole(arguments: Any, expected: Message, kept_whole: bool):
    made = decoded(user("go"), assistant(None, call("a", arguments)), tool("a"))
    sent = made.request["messages"][1]["content"][0]["input"]
    assert sent == expected
    assert list(sent) == list(expected)
    assert [note.action for note in made.notes] == (["repaired"] if kept_whole else [])


@pytest.mark.parametrize(
    "messages",
    [
        [assistant(None, call("call_7")), assistant("x"), user("y")],
        [user("y"), tool("call_7")],
    ],
)
def test_a_repaired_call_or_result_is_named_in_the_report(messages: list[Message]):
    assert any("call_7" in note.detail for note in decoded(user("go"), *messages).notes)


def test_a_history_with_calls_but_no_tools_gets_one_definition_that_stays_and_no_new_calls():
    made = decoded(user("go"), assistant(None, call("a", name="fs.read"), call("b")), tool("a"), tool("b"), tools=[])
    assert [made.tool_names.get(tool["name"], tool["name"]) for tool in made.request["tools"]] == ["fs.read"]
    assert made.request["tool_choice"] == {"type": "none"}
    assert {"tools": "mapped"}.items() <= {note.field: note.action for note in made.notes}.items()


def test_a_mark_on_a_message_marks_its_last_block():
    mark = {"type": "ephemeral", "ttl": "1h"}
    made = decoded(
        system("s", cache_control=mark),
        user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], cache_control=mark),
        assistant("c", call("x")),
        tool("x", [{"type": "text", "text": "d"}], cache_control=mark),
    )
    marked = [block for block in all_blocks(made.request) if "cache_control" in block]
    assert [block.get("text", block["type"]) for block in marked] == ["s", "b", "tool_result"]
    assert all(block["cache_control"] == mark for block in marked)


def test_of_more_than_four_marks_the_last_of_the_system_and_the_newest_stay():
    mark = {"cache_control": {"type": "ephemeral"}}
    made = decoded(system("s", **mark), system("t", **mark), *(user(str(index), **mark) for index in range(5)))
    marked = [block["text"] for block in all_blocks(made.request) if "cache_control" in block]
    assert marked == ["t", "2", "3", "4"]
    assert [note.action for note in made.notes] == ["ignored"]


def test_the_automatic_mark_takes_one_of_the_four_places():
    mark = {"cache_control": {"type": "ephemeral"}}
    made = decode({"model": "m", "messages": [user(str(index), **mark) for index in range(5)], **mark})
    assert_claude_takes(made.request)
    assert [block["text"] for block in all_blocks(made.request) if "cache_control" in block] == ["2", "3", "4"]


def test_openais_own_breakpoint_is_a_cache_mark():
    part = {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
    assert decoded(user([part])).request["messages"][0]["content"] == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    ]


def test_what_a_message_of_its_role_has_no_use_for_is_reported():
    made = decoded(
        user("go", tool_calls=[call("a")], tool_call_id="z", tool_name="", audio=None),
        assistant("done", audio={"id": "x"}, tool_calls=[]),
        user("on", name="jo"),
    )
    assert {note.field: note.action for note in made.notes} == {
        "messages[0].tool_calls": "dropped",
        "messages[0].tool_call_id": "dropped",
        "messages[1].audio": "dropped",
        "messages[2].name": "dropped",
    }


def test_a_tool_that_returned_only_blanks_returned_nothing_and_that_is_reported():
    made = decoded(user("go"), assistant(None, call("a")), tool("a", " \n"))
    assert made.request["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "a"}]
    assert [(note.field, note.action) for note in made.notes] == [("messages[2].content", "ignored")]
    assert decoded(user("go"), assistant(None, call("a")), tool("a", "")).notes == []


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (tool(None), "messages[1].tool_call_id"),  # type: ignore[arg-type]  # the wrong type is the point
        ({"role": "function", "content": "x"}, "messages[1].name"),
        (assistant(None, {"id": "a", "type": "function"}), "messages[1].tool_calls[0].function"),
        (assistant(None, {"type": "function", "function": {}}), "messages[1].tool_calls[0].id"),
        (assistant(None, {"id": "a", "type": "magic"}), "messages[1].tool_calls[0].type"),
        (assistant("x", tool_calls={"a": 1}), "messages[1].tool_calls"),
        (user([{"type": "text"}]), "messages[1].content[0].text"),
        (user(["hi"]), "messages[1].content[0]"),
        (user("x", cache_control="yes"), "messages[1].cache_control"),
        (system([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]), "messages[1].content[0]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_message_is_a_400_that_names_the_field(message: Message, param: str):
    with pytest.raises(GatewayError) as refusal:
        decoded(user("a"), message)
    assert (refusal.value.status, refusal.value.param) == (400, param)
