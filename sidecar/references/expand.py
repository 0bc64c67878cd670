"""Puts back the lines that references stand for. Needs nothing but the request as it was sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sidecar.conversation import with_texts
from sidecar.exchange import Json
from sidecar.references.marker import OWN, PREFIX, Place, Reference, digest_of, references_in, unseal
from sidecar.references.near_copies import apply_diff
from sidecar.references.slots import Kind, Walk, request_blocks
from sidecar.references.sources import Origin, Source, Sources


def expand(request: Json) -> Json:
    """The request with every line in full; parts that hold no reference are the same objects."""
    walk, known = Walk(), [Sources()]
    messages: list[Json] = []
    grown: dict[int, list[Json]] = {}
    for zone, role, number, block in request_blocks(request):
        slots = walk.block(zone, role, number, block)
        whole, texts = block, []
        for slot in slots:  # one by one: a text may refer to another of its own block
            texts.append(slot.text if slot.kind is Kind.SOURCE else expand_text(slot.text, slot.anchor, known))
            known[0].add(slot.text, slot.origin)
        if texts != [slot.text for slot in slots]:
            whole = with_texts(block, texts)
        if zone == "messages":
            grown.setdefault(number, []).append(whole)
    for number, message in enumerate(request["messages"]):
        messages.append(_with_blocks(message, grown.get(number, [])))
    return {**request, "messages": messages}


def expand_text(text: str, anchor: bytes, known: Iterable[Sources]) -> str:
    """One text in full. `known` are the texts before it, as sent; what is no genuine marker stays as it is."""
    if PREFIX not in text:
        return text
    if (inner := unseal(text, anchor)) is not None:
        return inner
    pieces, at = [], 0
    own = Source(text, Origin("this text"))
    for reference in references_in(text):
        lines = _lines_of(reference, Place(anchor, reference.start), known, own)
        if lines is not None:
            pieces += [text[at : reference.start], lines]
            at = reference.end
    return "".join([*pieces, text[at:]])


def _lines_of(reference: Reference, place: Place, known: Iterable[Sources], own: Source) -> str | None:
    patch = reference.patch
    first, count = reference.first, reference.count if patch is None else patch.base
    if reference.source == OWN:
        keys = own.reading.keys[first : first + count]
        if reference.genuine(digest_of("\n".join(keys)), place):
            return reference.form.write(keys) if patch is None and len(keys) == count else None
    for source in _candidates(reference, known):
        if not reference.genuine(source.digest, place):
            continue
        keys = source.reading.keys[first : first + count]
        if len(keys) < count:
            return None
        if patch is None:
            return reference.form.write(keys)
        patched = apply_diff(keys, reference.diff)
        return None if patched is None or len(patched) != reference.count else reference.form.write(patched)
    return None


def _candidates(reference: Reference, known: Iterable[Sources]) -> Iterator[Source]:
    for sources in known:
        yield from sources.named(reference.source)


def _with_blocks(message: Json, blocks: list[Json]) -> Json:
    content = message.get("content")
    if isinstance(content, str):
        return message if not blocks or blocks[0]["text"] == content else {**message, "content": blocks[0]["text"]}
    unchanged = all(one is other for one, other in zip(content or (), blocks, strict=False))
    return message if unchanged else {**message, "content": blocks}
