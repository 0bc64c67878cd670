"""Images and files in a chat completions request."""

import base64
from typing import Any

import pytest

from sidecar.dialects.openai_chat import Decoded, decode
from sidecar.errors import GatewayError
from tests.support.messages_requests import assert_claude_takes

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(16)).decode()
PDF = base64.b64encode(b"%PDF-1.7 ...").decode()
TEXT = base64.b64encode("größer\n".encode()).decode()


def image_url(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}


def file(data: str, name: str | None = None) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data, **({"filename": name} if name else {})}}


def decoded(part: Any) -> Decoded:
    made = decode({"model": "m", "messages": [{"role": "user", "content": [part]}]})
    assert_claude_takes(made.request)
    return made


ROWS = [
    (
        "a PNG inline",
        image_url(f"data:image/png;base64,{PNG}"),
        {"type": "base64", "media_type": "image/png", "data": PNG},
    ),
    (
        "jpg is jpeg",
        image_url(f"data:image/jpg;base64,{JPEG}"),
        {"type": "base64", "media_type": "image/jpeg", "data": JPEG},
    ),
    (
        "a GIF",
        image_url("data:image/gif;base64,R0lGODlh"),
        {"type": "base64", "media_type": "image/gif", "data": "R0lGODlh"},
    ),
    (
        "a WebP, in capitals",
        image_url("DATA:Image/WebP;BASE64,UklGRg"),
        {"type": "base64", "media_type": "image/webp", "data": "UklGRg"},
    ),
    ("a link", image_url("https://example.org/a.png"), {"type": "url", "url": "https://example.org/a.png"}),
    (
        "the short form",
        {"type": "image_url", "image_url": "https://example.org/a.png"},
        {"type": "url", "url": "https://example.org/a.png"},
    ),
    (
        "a PDF",
        file(f"data:application/pdf;base64,{PDF}"),
        {"type": "base64", "media_type": "application/pdf", "data": PDF},
    ),
    ("a PDF without the data: part", file(PDF), {"type": "base64", "media_type": "application/pdf", "data": PDF}),
    (
        "a text file",
        file(f"data:text/markdown;charset=utf-8;base64,{TEXT}"),
        {"type": "text", "media_type": "text/plain", "data": "größer\n"},
    ),
    (
        "JSON, percent-encoded",
        file("data:application/json,%7B%22a%22:1%7D"),
        {"type": "text", "media_type": "text/plain", "data": '{"a":1}'},
    ),
    (
        "a picture sent as a file",
        file(f"data:image/png;base64,{PNG}"),
        {"type": "base64", "media_type": "image/png", "data": PNG},
    ),
    (
        "Claude's own image",
        {"type": "image", "source": {"type": "url", "url": "https://x/y"}},
        {"type": "url", "url": "https://x/y"},
    ),
    (
        "Claude's own document",
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
        {"type": "text", "media_type": "text/plain", "data": "x"},
    ),
]


@pytest.mark.parametrize(("part", "source"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_claude_can_see_reaches_it(part: dict[str, Any], source: dict[str, Any]):
    made = decoded(part)
    assert made.request["messages"][0]["content"][0]["source"] == source
    assert made.notes == []


def test_a_picture_with_the_wrong_label_goes_out_with_the_right_one():
    made = decoded(image_url(f"data:image/png;base64,{JPEG}"))
    assert made.request["messages"][0]["content"][0]["source"]["media_type"] == "image/jpeg"
    assert [note.action for note in made.notes] == ["mapped"]


def test_a_picture_asked_for_in_less_detail_is_seen_whole_and_that_is_reported():
    made = decoded({"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}})
    assert [(note.field, note.action) for note in made.notes] == [
        ("messages[0].content[0].image_url.detail", "ignored"),
    ]


def test_a_file_keeps_its_name():
    assert decoded(file(PDF, "plan.pdf")).request["messages"][0]["content"][0]["title"] == "plan.pdf"


def test_pictures_inside_a_tool_result_stay_inside():
    made = decode(
        {
            "model": "m",
            "tools": [{"type": "function", "function": {"name": "shot"}}],
            "messages": [
                {"role": "user", "content": "look"},
                {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "shot", "arguments": "{}"}}]},
                {
                    "role": "tool",
                    "tool_call_id": "a",
                    "content": [{"type": "text", "text": "here"}, image_url(f"data:image/png;base64,{PNG}")],
                },
            ],
        }
    )
    assert_claude_takes(made.request)
    (result,) = made.request["messages"][2]["content"]
    assert [block["type"] for block in result["content"]] == ["text", "image"]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (image_url("http://example.org/a.png"), "https"),
        (image_url("file:///etc/passwd"), "https"),
        (image_url("data:image/svg+xml;base64,PHN2Zz4="), "image/svg+xml"),
        (image_url("data:image/png;base64,"), "no base64 content"),
        (image_url("data:image/png,plain"), "no base64 content"),
        (image_url("data:image/png"), "no comma"),
        (image_url(7), "expected a string"),
        (file("data:application/zip;base64,UEsDBA=="), "application/zip"),
        (file("data:text/plain;base64,/w=="), "UTF-8"),
        (file("data:text/plain;base64,IA=="), "empty"),
        (file("bm90aGluZyBrbm93bg=="), "application/octet-stream"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file_data"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "transcript"),
        ({"type": "hologram"}, "image_url"),
        ({"type": "image", "source": "x"}, "an object"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_claude_cannot_see_is_refused_with_a_reason(part: dict[str, Any], says: str):
    with pytest.raises(GatewayError) as refusal:
        decoded(part)
    assert refusal.value.status == 400
    assert refusal.value.param.startswith("messages[0].content[0]")
    assert says in refusal.value.message
