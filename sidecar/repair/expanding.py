"""Gives back what the client wrote from a request that was repaired, from that request alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sidecar.conversation import texts_of, with_texts
from sidecar.exchange import Json
from sidecar.prompt import SYSTEM_TAG
from sidecar.repair.amendments import Amendment, Place, amended, read

_BEFORE, _BEHIND = SYSTEM_TAG.split("{}")

type _Path = tuple[str | int, ...]


class _Block(NamedTuple):
    place: Place
    path: _Path
    """Where it stands in the request."""
    texts: list[str]
    turn: int
    """How many messages of the assistant stand before it."""
    may_amend: bool
    """Whether it is a text of its own, and not the assistant's: it may quote what it was told."""


def expanded(request: Json) -> Json:
    """The request with amended texts as the client has them now, and without the amendments.

    Texts that other layers wrote as references must be in full again. What only looks like an amendment stays. A system
    text that went in two, stable part and rest, comes back in one where it was amended.
    """
    request = _joined(request)
    known: dict[Place, _Block] = {}
    now: dict[Place, list[str]] = {}
    gone: set[_Path] = set()
    for block in _blocks(request):
        found = read(_untagged(block.texts[0])) if block.may_amend else None
        if found is not None and (amends := _amends(known, found, block.turn)) is not None:
            place, texts = amends
            now[place] = texts
            gone.add(block.path)
        else:
            known[block.place] = block
    if not gone:
        return request
    changed = {known[place].path: texts for place, texts in now.items()}
    messages = [
        {**message, "content": _rewritten(message["content"], ("messages", number), changed, gone)}
        for number, message in enumerate(request["messages"])
    ]
    kept = [new for new, old in zip(messages, request["messages"], strict=True) if new["content"] or not old["content"]]
    expansion = {**request, "messages": kept}
    if "system" in request:
        expansion["system"] = _rewritten(request["system"], ("system",), changed, gone)
    return expansion


def _joined(request: Json) -> Json:
    """With a system text in one again that an amendment shows to have been split: its checksum fits both together."""
    system = request.get("system")
    if not isinstance(system, list) or not (found := [*_amendments(request)]):
        return request
    for number in range(len(system) - 1):
        texts = [texts_of(block) for block in system[number : number + 2]]
        if all(texts) and any(amended([texts[0][0] + texts[1][0]], one, turn) is not None for one, turn in found):
            whole = with_texts(system[number], [texts[0][0] + texts[1][0]])
            return {**request, "system": [*system[:number], whole, *system[number + 2 :]]}
    return request


def _amendments(request: Json) -> Iterator[tuple[Amendment, int]]:
    for block in _blocks(request):
        if block.may_amend and (found := read(_untagged(block.texts[0]))) is not None and found.place.zone == "system":
            yield found, block.turn


def _amends(known: dict[Place, _Block], found: Amendment, turn: int) -> tuple[Place, list[str]] | None:
    """The place that an amendment changes, which is another than it says where a layer left blocks out before it."""
    first = [known[found.place]] if found.place in known else []
    for block in [*first, *known.values()]:
        if (texts := amended(block.texts, found, turn)) is not None:
            return block.place, texts
    return None


def _untagged(text: str) -> str:
    """Without what a text of ours is wrapped in where the model takes no system message in mid-conversation."""
    return text.removeprefix(_BEFORE).removesuffix(_BEHIND) if text.startswith(_BEFORE) else text


def _blocks(request: Json) -> Iterator[_Block]:
    for number, (path, block) in enumerate(_content(request.get("system"), ("system",))):
        if texts := texts_of(block):
            yield _Block(Place("system", 0, number), path, texts, 0, may_amend=False)
    turn = count = 0
    for at, message in enumerate(request["messages"]):
        spoken, own = message["role"] != "system", message["role"] != "assistant"
        for number, (path, block) in enumerate(_content(message["content"], ("messages", at))):
            if texts := texts_of(block):
                # A system message here has no number of its own: nothing amends it.
                place = Place("messages", count if spoken else -1 - at, number)
                yield _Block(place, path, texts, turn, may_amend=own and block["type"] == "text")
        count += spoken
        turn += not own


def _content(content: Any, path: _Path) -> Iterator[tuple[_Path, Json]]:
    if isinstance(content, str):
        yield path, {"type": "text", "text": content}
    for number, block in enumerate(content if isinstance(content, list) else ()):
        yield (*path, number), block


def _rewritten(
    content: Any,
    path: _Path,
    changed: dict[_Path, list[str]],
    gone: set[_Path],
) -> Any:
    if isinstance(content, str):
        return "" if path in gone else changed.get(path, [content])[0]
    if not isinstance(content, list):
        return content
    return [
        with_texts(block, changed[(*path, number)]) if (*path, number) in changed else block
        for number, block in enumerate(content)
        if (*path, number) not in gone
    ]
