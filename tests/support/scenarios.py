"""What clients do, as data: a question, what Claude answers, and what must be heard, whatever the dialect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.simulator.answers import Answer, Failure, Raw, RedactedThinking, Step, Text, Thinking, ToolCall, refusal
from tests.support.dialects import MODEL

Json = dict[str, Any]

CHAT = frozenset({"chat", "azure"})
TOOLS = CHAT | {"messages", "responses"}
"""Dialects that have tools, images, reasoning."""
TEXT = TOOLS | {"completions"}
TRANSLATED = TOOLS - {"messages"}
"""Where something is changed on the way that Claude itself would refuse."""

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PNG = f"data:image/png;base64,{PIXEL}"
PDF = "data:application/pdf;base64,JVBERi0xLjQKJSVFT0YK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    name: str
    question: Json
    """Chat completions' fields; without `model` it is Sonnet's newest."""
    steps: Sequence[Step | str]
    """What Claude answers: one a request."""
    dialects: frozenset[str] = TEXT
    text: str | None = None
    """None: whatever it is."""
    calls: Sequence[tuple[str, Any]] = ()
    finish: str | None = "stop"
    reasoning: str | None = None
    pages: Sequence[str] = ()
    status: int = 200
    """As Claude's own API means it."""
    error: str | None = None
    """A part of what the error says; in a stream that has begun it comes with status 200."""
    streamed_status: int | None = None
    """Where a stream has another status: it had begun."""
    reported: str = ""
    """A part of the report of the translated dialects."""
    doors: bool = False
    """Also asked through the interceptor."""


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def said(content: str, *calls: Json) -> Json:
    return {"role": "assistant", "content": content or None, **({"tool_calls": list(calls)} if calls else {})}


def call(number: int, name: str = "read", **arguments: Any) -> Json:
    return {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def result(number: int, content: Any) -> Json:
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": content}


def tool(name: str = "read", parameters: Json | None = None, **more: Any) -> Json:
    schema = parameters or {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    return {"type": "function", "function": {"name": name, "parameters": schema, **more}}


READ = tool()
CALL = ToolCall("read", {"path": "a.py"})
CALLED = ("read", {"path": "a.py"})
HUGE = "word and word again, " * 15_000
PART = [{"type": "text", "text": "What is this?"}]
LOOP = [user("Read them.")] + [
    one for n in range(5) for one in (said("", call(n, path=str(n))), result(n, f"text {n}"))
]
SCHEMA: Json = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def asked(content: Any = "hello", *more: Json, **fields: Any) -> Json:
    return {"model": MODEL, "max_tokens": 3_000, "messages": [user(content), *more], **fields}


def talk(*messages: Json, **fields: Any) -> Json:
    return {"model": MODEL, "max_tokens": 3_000, "messages": list(messages), **fields}


def _plain(name: str, text: str, **more: Any) -> Scenario:
    return Scenario(name=name, question=asked(), steps=[Answer(text)], text=text, **more)


def _one_call(name: str, arguments: Any, **more: Any) -> Scenario:
    return Scenario(
        name=name,
        question=asked(tools=[tool("run", {"type": "object"})]),
        steps=[Answer(ToolCall("run", arguments))],
        dialects=TOOLS,
        calls=[("run", arguments)],
        finish="tool_calls",
        text="",
        **more,
    )


def _answered(name: str, question: Json, dialects: frozenset[str] = TOOLS, **more: Any) -> Scenario:
    """Claude takes it and says a word; the simulator refuses what the API would."""
    return Scenario(name=name, question=question, steps=["Fine."], text="Fine.", dialects=dialects, **more)


def _failed(name: str, step: Step, status: int, error: str, **more: Any) -> Scenario:
    return Scenario(name=name, question=asked(), steps=[step], status=status, error=error, finish=None, **more)


SCENARIOS: tuple[Scenario, ...] = (
    # Text
    _plain("a question", "Hello there.", doors=True),
    _plain("an answer of nothing", ""),
    _plain("blanks stay", "  a\n\n\tb  "),
    _plain("unicode", "Grüße, 日本語, 👩‍👩‍👧, é, \u2028, \x7f", doors=True),
    _plain("text like an event", 'data: [DONE]\n\nevent: error\ndata: {"type":"error"}\n\n'),
    _plain("text like json", '{"choices": [], "type": "message_stop"}'),
    _plain("a code fence", '```python\nprint("x")\n```\n'),
    _plain("a long answer", "A long answer. " * 400),
    _answered("a long prompt", asked(HUGE), TEXT, doors=True),
    _answered("a prompt of unicode", asked("Ä 漢字 🎉 \u0000 \\ \" '"), TEXT),
    # Conversations
    _answered("a system prompt", talk({"role": "system", "content": "Be brief."}, user("hi")), doors=True),
    _answered("two system prompts", talk(*[{"role": "system", "content": text} for text in "ab"], user("hi"))),
    _answered("a developer's message", talk({"role": "developer", "content": "Be brief."}, user("hi"))),
    _answered("system text in the middle", asked("a", said("b"), {"role": "system", "content": "c"}, user("d"))),
    _answered("many turns", talk(*[one for n in range(12) for one in (user(f"u{n}"), said(f"a{n}"))], user("end"))),
    _answered("two turns of the user in a row", asked("a", user("b"))),
    _answered("text in parts", asked([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])),
    _answered("an answer begun by the client", asked("a", said("The answer is")), TRANSLATED, reported="=changed"),
    # Calls
    Scenario(name="a call", question=asked(tools=[READ]), steps=[Answer(CALL)], dialects=TOOLS, calls=[CALLED],
             finish="tool_calls", doors=True),
    Scenario(name="two calls at once", question=asked(tools=[READ, tool("list")]), dialects=TOOLS,
             steps=[Answer((CALL, ToolCall("list", {"path": "b"})))], calls=[CALLED, ("list", {"path": "b"})],
             finish="tool_calls", doors=True),
    Scenario(name="six calls at once", question=asked(tools=[READ]), steps=[Answer((CALL,) * 6)], dialects=TOOLS,
             calls=[CALLED] * 6, finish="tool_calls"),
    Scenario(name="text before a call", question=asked(tools=[READ]), steps=[Answer((Text("I look."), CALL))],
             dialects=TOOLS, text="I look.", calls=[CALLED], finish="tool_calls"),
    _one_call("a call without arguments", {}),
    _one_call("nested arguments", {"a": {"b": [1, {"c": None}, True]}, "d": ""}),
    _one_call("numbers to the last digit", {"n": 2**60 + 1, "m": -0.5, "e": 1e-7}),
    _one_call("arguments of unicode", {"text": "Köln \u2028 👩‍👩‍👧 \\ \""}, doors=True),
    _one_call("long arguments", {"text": "line of code\n" * 500}),
    Scenario(name="one call at a time", question=asked(tools=[READ], parallel_tool_calls=False), steps=[Answer(CALL)],
             dialects=TOOLS, calls=[CALLED], finish="tool_calls"),
    _answered("a tool by a name that Claude does not take", asked(tools=[tool("fs.read")]), reported="mapped"),
    _answered("a strict tool", asked(tools=[tool(strict=True, parameters=SCHEMA["json_schema"]["schema"])])),
    _answered("a tool without parameters", asked(tools=[{"type": "function", "function": {"name": "now"}}])),
    _answered("forty tools", asked(tools=[tool(f"tool_{number}") for number in range(40)])),
    _answered("no call may be made", asked(tools=[READ], tool_choice="none")),
    _answered("a call must be made", asked(tools=[READ], tool_choice="required"), reported="tool_choice=changed"),
    _answered("one tool must be called", asked(tools=[READ], tool_choice={"type": "function",
                                                                          "function": {"name": "read"}})),
    _answered("a call must be made by a model that can be made to", asked(tools=[READ], tool_choice="required",
                                                                          model="claude-opus-5")),
    # Results
    _answered("a result", asked("a", said("", call(1)), result(1, "b"), tools=[READ]), doors=True),
    _answered("two results", asked("a", said("", call(1), call(2)), result(1, "b"), result(2, "c"), tools=[READ])),
    _answered("results in another order", asked("a", said("", call(1), call(2)), result(2, "c"), result(1, "b"),
                                                tools=[READ])),
    _answered("a loop of five turns", talk(*LOOP, tools=[READ]), doors=True),
    _answered("a result and a word", asked("a", said("", call(1)), result(1, "b"), user("c"), tools=[READ])),
    _answered("an empty result", asked("a", said("", call(1)), result(1, ""), tools=[READ])),
    _answered("a result in parts", asked("a", said("", call(1)), result(1, [{"type": "text", "text": "b"}]),
                                         tools=[READ])),
    _answered("a long result", asked("a", said("", call(1)), result(1, HUGE), tools=[READ])),
    _answered("a call that nobody answered", asked("a", said("", call(1)), user("b"), tools=[READ]), TRANSLATED,
              reported="repaired"),
    _answered("a result without its call", asked("a", result(9, "b"), tools=[READ]), TRANSLATED, reported="repaired"),
    _answered("calls in the history and no tools", asked("a", said("", call(1)), result(1, "b"))),
    # Files
    _answered("an image", asked([*PART, {"type": "image_url", "image_url": {"url": PNG}}]), doors=True),
    _answered("an image by its address", asked([{"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}])),
    _answered("two images", asked([{"type": "image_url", "image_url": {"url": PNG}}] * 2 + PART)),
    _answered("a PDF", asked([*PART, {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}])),
    _answered("an image in a result", asked("a", said("", call(1)), result(1, [
        {"type": "image_url", "image_url": {"url": PNG}}]), tools=[READ])),
    # Structured output
    Scenario(name="an answer in a schema", question=asked(response_format=SCHEMA), steps=['{"city": "Köln"}'],
             dialects=TOOLS, text='{"city": "Köln"}', doors=True),
    Scenario(name="any JSON", question=asked("JSON, please", response_format={"type": "json_object"}),
             steps=['{"a": 1}'], dialects=TRANSLATED, text='{"a": 1}', reported="changed"),
    # Reasoning
    Scenario(name="thinking", question=asked(reasoning_effort="high"), steps=[Answer((Thinking("Hm."), Text("Yes.")))],
             dialects=TOOLS, text="Yes.", reasoning="Hm.", doors=True),
    Scenario(name="thinking before a call", question=asked(reasoning_effort="high", tools=[READ]),
             steps=[Answer((Thinking("Hm."), CALL))], dialects=TOOLS, calls=[CALLED], reasoning="Hm.",
             finish="tool_calls"),
    Scenario(name="thinking that nobody may read", question=asked(reasoning_effort="low"),
             steps=[Answer((RedactedThinking(), Text("Yes.")))], dialects=TOOLS, text="Yes.", reasoning=""),
    _answered("no thinking", asked(reasoning_effort="none")),
    # Where it ends
    Scenario(name="no more tokens", question=asked(max_tokens=5), steps=["word " * 99], finish="length", doors=True),
    Scenario(name="a stop sequence", question=asked(stop=["END"]), steps=["before END after"], text="before ",
             dialects=TEXT - {"responses"}),
    Scenario(name="one of several stop sequences", question=asked(stop=["X", "Y"]), steps=["a Y b X"], text="a ",
             dialects=TEXT - {"responses"}),
    Scenario(name="a window that is full", question=asked(),
             steps=[Answer("half", stop_reason="model_context_window_exceeded")], text="half", finish="length"),
    Scenario(name="a turn that pauses", question=asked(), steps=[Answer("half", stop_reason="pause_turn")],
             text="half", finish="length", dialects=TEXT - {"responses"}),
    Scenario(name="a refusal", question=asked(), steps=[refusal()], finish="content_filter", doors=True),
    # Claude's own tools
    Scenario(name="a search of the web", question=asked('call web_search {"query": "rain"}', tools=[
        {"type": "web_search"}]), steps=[], dialects=TRANSLATED, text="I looked it up. A page says all about rain.",
        pages=["https://example.com/1"], reported="tools[0]=mapped"),
    Scenario(name="code that Claude runs", question=asked('call code_execution {"command": "ls"}', tools=[
        {"type": "code_interpreter", "container": {"type": "auto"}}]), steps=[], dialects=TRANSLATED,
        text="I ran `ls`."),
    # What is reported
    _answered("a temperature", asked(temperature=0.2), TRANSLATED | {"completions"}, reported="temperature=dropped"),
    Scenario(name="two choices", question=asked(n=2), steps=["Fine.", "Fine."], text="Fine.",
             dialects=CHAT | {"completions"}),
    Scenario(name="functions of 2023", question=asked(functions=[READ["function"]]), steps=[Answer(CALL)],
             dialects=CHAT, calls=[CALLED], finish="function_call"),
    # Delivery
    Scenario(name="a byte at a time", question=asked(), steps=[Answer("Grüße 👋", chunk_sizes=(1,))], text="Grüße 👋"),
    Scenario(name="a letter at a time", question=asked(), steps=[Answer("Grüße 👋", delta_chars=1)], text="Grüße 👋"),
    # Errors
    _failed("too many requests", Failure(429, retry_after=7), 429, "rate limit", doors=True),
    _failed("overloaded", Failure(529), 529, "Overloaded", doors=True),
    _failed("an error of Claude's", Failure(500), 500, "Internal server error"),
    _failed("a key that is wrong at Claude's", Failure(401), 401, "invalid x-api-key"),
    _failed("no credit", Failure(400, "Your credit balance is too low"), 400, "credit balance"),
    _failed("a request that is too large", Failure(413), 413, "maximum size"),
    _failed("a prompt that is too long", Failure(400, "prompt is too long: 9 tokens > 8 maximum"), 400, "too long"),
    _failed("an overload inside a 200, before a word", Answer("x", error_after=0), 529, "Overloaded",
            dialects=TEXT - {"messages"}, doors=True),
    _failed("nothing that makes sense", Raw(b"<html>", headers={"content-type": "text/html"}), 502, "",
            dialects=TEXT - {"messages"}),
    _failed("an overload after some words", Answer("word " * 40, error_after=9), 529, "Overloaded",
            streamed_status=200, dialects=TEXT - {"messages"}),
    _failed("a connection that breaks", Answer("word " * 40, cut_after=9), 502, "broke", streamed_status=200,
            doors=True),
    Scenario(name="a model that nobody knows", question=asked(model="llama-9"), steps=[], status=404, finish=None,
             error="There is no model", dialects=TRANSLATED | {"completions"}),
)  # fmt: skip
