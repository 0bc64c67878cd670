"""The content of one message: OpenAI's parts (and Claude's own blocks, which some editors send) as Claude's blocks.

A client's words are never altered: text goes through byte for byte. The only text that goes missing is blank
text, which Claude refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sidecar.dialects.openai import media
from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.reading import mapping, mapping_of, text, text_of
from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Json

Place = Literal["system", "user", "assistant", "tool"]
"""Whose content it is; `tool` is the content of a tool result."""


def is_blank(words: str) -> bool:
    return not words or words.isspace()


def blocks_of(content: object, place: Place, path: str, notes: Notes) -> list[Json]:
    """The blocks of the `content` of a message or result at `path`; none for `null` and for blank text."""
    if type(content) is str:
        if content and not content.isspace():
            return [{"type": "text", "text": content}]
        return text_blocks(content, f"{path}.content", notes)
    if content is None:
        return []
    if type(content) is not list:
        path += ".content"
        raise invalid_request(f"{path}: expected a string or an array of content parts.", param=path)
    blocks = []
    for index, part in enumerate(content):
        block = _block_of(part, place, f"{path}.content[{index}]", notes)
        if block is not None:
            blocks.append(block)
    return blocks


def text_blocks(words: str, path: str, notes: Notes) -> list[Json]:
    """One text block, or none where the words are blank."""
    block = _text_block(words, path, notes)
    return [block] if block else []


def mark_of(holder: Json, path: str) -> Json | None:
    """The cache mark on a part, message or tool: Claude's `cache_control`, or OpenAI's `prompt_cache_breakpoint`."""
    mark = holder.get("cache_control")
    if mark is None:
        return None if holder.get("prompt_cache_breakpoint") is None else {"type": "ephemeral"}
    if mapping(mark, f"{path}.cache_control").get("type") != "ephemeral" or mark.get("ttl", "5m") not in ("5m", "1h"):
        raise invalid_request(
            f'{path}.cache_control: expected {{"type": "ephemeral"}}, with "ttl": "5m" or "1h" if any.',
            param=f"{path}.cache_control",
        )
    return mark  # type: ignore[no-any-return]  # an object, as just checked


def put_mark(blocks: list[Json], mark: Json) -> bool:
    """Mark the last of `blocks` that may carry a cache mark (thinking may not); False when none may."""
    for block in reversed(blocks):
        if block["type"] not in UNMARKABLE:
            block["cache_control"] = mark
            return True
    return False


UNMARKABLE = frozenset({"thinking", "redacted_thinking"})

MARKS = frozenset({"cache_control", "prompt_cache_breakpoint"})

WHOLE_IMAGE = (None, "auto", "high", "original")
"""Values of an image's `detail` that ask for what Claude does anyway."""

_Reader = Callable[[Json, str, Notes], Json | None]


def _block_of(part: object, place: Place, path: str, notes: Notes) -> Json | None:
    part = mapping(part, path)
    kind = text_of(part, "type", path)
    reader = PARTS[place].get(kind)
    if reader is None:
        advice = _ADVICE.get(kind) or f"{place} content takes " + ", ".join(PARTS[place])
        raise invalid_request(f"{path}: a part of type {kind!r} cannot be passed on: {advice}.", param=path)
    block = reader(part, path, notes)
    mark = mark_of(part, path)
    if mark is None or kind in UNMARKABLE:
        return block
    if block is None:
        notes.add(path, "ignored", "a cache mark on blank text")
    else:
        block["cache_control"] = mark
    return block


def _unmarked(part: Json) -> Json:
    """A block of Claude's own, to be marked or unmarked without touching the client's body."""
    return {key: value for key, value in part.items() if key not in MARKS}


def _text_block(words: str, path: str, notes: Notes) -> Json | None:
    if not words or words.isspace():
        if words:
            notes.add(path, "ignored", "blank text, which Claude refuses")
        return None
    return {"type": "text", "text": words}


def _text_part(part: Json, path: str, notes: Notes) -> Json | None:
    return _text_block(text_of(part, "text", path), path, notes)


def _refusal_part(part: Json, path: str, notes: Notes) -> Json | None:
    return _text_block(text_of(part, "refusal", path), path, notes)


def _image_url_part(part: Json, path: str, notes: Notes) -> Json:
    path += ".image_url"
    image = part.get("image_url")
    if type(image) is str:
        return media.image_block(image, path, notes)
    image = mapping(image, path)
    if image.get("detail") not in WHOLE_IMAGE:
        notes.add(f"{path}.detail", "ignored", "Claude sees every image as large as it can")
    return media.image_block(text_of(image, "url", path), f"{path}.url", notes)


def _file_part(part: Json, path: str, notes: Notes) -> Json:
    path += ".file"
    file = mapping(part.get("file"), path)
    if file.get("file_data") is None:
        raise invalid_request(
            f"{path}: files uploaded to OpenAI cannot be reached from here; send the content inline as `file_data`, "
            "a data: URL of a PDF or a text file.",
            param=path,
        )
    filename = file.get("filename")
    name = None if filename is None else text(filename, f"{path}.filename")
    return media.file_block(text(file["file_data"], f"{path}.file_data"), name, f"{path}.file_data", notes)


def _sourced(part: Json, path: str, _notes: Notes) -> Json:
    """Claude's own `image` or `document`."""
    source = mapping_of(part, "source", path)
    text(source.get("type"), f"{path}.source.type")
    return _unmarked(part)


def _as_it_is(part: Json, _path: str, _notes: Notes) -> Json:
    return _unmarked(part)


def _input_image(part: Json, path: str, notes: Notes) -> Json:
    if part.get("image_url") is None:
        raise _out_of_reach(path, "image", "`image_url`, a data: URL or an https link")
    if part.get("detail") not in WHOLE_IMAGE:
        notes.add(f"{path}.detail", "ignored", "Claude sees every image as large as it can")
    return media.image_block(text_of(part, "image_url", path), f"{path}.image_url", notes)


def _input_file(part: Json, path: str, notes: Notes) -> Json:
    filename = part.get("filename")
    name = None if filename is None else text(filename, f"{path}.filename")
    if part.get("file_data") is not None:
        return media.file_block(text_of(part, "file_data", path), name, f"{path}.file_data", notes)
    if part.get("file_url") is not None:
        return media.linked_document(text_of(part, "file_url", path), name, f"{path}.file_url")
    raise _out_of_reach(path, "file", "`file_data`, a data: URL of a PDF or a text file, or as `file_url`")


def _out_of_reach(path: str, kind: str, instead: str) -> GatewayError:
    return invalid_request(
        f"{path}: what was uploaded to OpenAI cannot be reached from here; send the {kind} as {instead}.", param=path
    )


def _thinking(part: Json, path: str, notes: Notes) -> Json | None:
    """Thinking goes back byte for byte, empty text included: it is the signature that counts."""
    text_of(part, "thinking", path)
    if not part.get("signature"):
        notes.add(path, "dropped", "thinking without its signature, which Claude refuses")
        return None
    text(part["signature"], f"{path}.signature")
    return _unmarked(part)


def _redacted_thinking(part: Json, path: str, _notes: Notes) -> Json:
    text_of(part, "data", path)
    return _unmarked(part)


def _tool_use(part: Json, path: str, _notes: Notes) -> Json:
    text_of(part, "id", path)
    text_of(part, "name", path)
    mapping_of(part, "input", path)
    return _unmarked(part)


def _tool_result(part: Json, path: str, notes: Notes) -> Json:
    text_of(part, "tool_use_id", path)
    block = _unmarked(part)
    if content := result_content(block.pop("content", None), path, notes):
        block["content"] = content
    return block


def result_content(content: object, path: str, notes: Notes) -> str | list[Json]:
    """What a tool returned: its string as it is, or blocks; the empty string for a tool that returned nothing."""
    if type(content) is str and not is_blank(content):
        return content
    return blocks_of(content, "tool", path, notes) or ""


_READABLE: dict[str, _Reader] = {
    "text": _text_part,
    "image_url": _image_url_part,
    "file": _file_part,
    "image": _sourced,
    "document": _sourced,
    "search_result": _as_it_is,
    "input_text": _text_part,
    "input_image": _input_image,
    "input_file": _input_file,
}
"""Of both of OpenAI's dialects, and Claude's own: some clients send the parts of one to the other."""

PARTS: dict[Place, dict[str, _Reader]] = {
    "system": {"text": _text_part, "input_text": _text_part},
    "user": _READABLE | {"tool_result": _tool_result},
    "assistant": {
        "text": _text_part,
        "output_text": _text_part,
        "refusal": _refusal_part,
        "thinking": _thinking,
        "redacted_thinking": _redacted_thinking,
        "tool_use": _tool_use,
    },
    "tool": _READABLE,
}
"""Which parts may stand where, and what reads each."""

_ADVICE = {
    "input_audio": "Claude takes no audio; send a transcript as text",
    "video_url": "Claude takes no video; send frames as images",
}
