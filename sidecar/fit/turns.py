"""The turns of a conversation: system messages in its middle, an unfinished answer at its end, pictures and PDFs.

What becomes of a message depends on it and on what stands before it, and on the one after it only as far as the request
that first carried it already showed it. So an old message always comes out the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.errors import invalid_request
from sidecar.exchange import Json
from sidecar.fit.draft import Draft, blocks_of

CONTINUE = (
    "Your last message is unfinished. Continue it from its very last character: write only what comes next, repeat "
    "nothing of it and add no introduction."
)

SERVER_SIDE = ("server_tool_use", "tool_use")
"""An assistant turn that ends with one of these, or with a server tool's result, is no text to continue."""

MEDIA = {"image": ("image_input", "images"), "document": ("pdf_input", "PDF files")}


def fit_system_turns(draft: Draft) -> None:
    """System messages stay where they are: as such where the model takes them there, else as tagged user text.

    Taken are they right behind a user's turn, at the end or before an assistant's turn, and not two in a row.
    """
    messages: list[Json] = draft.get("messages")
    if "system" not in {message["role"] for message in messages}:
        return
    placed = _Turns()
    tagged = 0
    for index, group in _system_runs(messages):
        if group[0]["role"] != "system":
            placed.add(group[0])
            continue
        behind = messages[index + len(group)]["role"] if index + len(group) < len(messages) else "assistant"
        if draft.card.takes_mid_system and placed.ends_with_user and behind == "assistant":
            placed.keep(group)
        else:
            said = [_tagged(block) for message in group for block in blocks_of(message) if _says(block)]
            placed.say(said)
            tagged += len(said)
    if tagged:
        times = f"; {tagged} times" if tagged > 1 else ""
        draft.note("messages", "mapped", f"system text in mid-conversation, as tagged text of the user{times}")
    draft["messages"] = placed.finished()


class _Turns:
    """The messages so far, and system text that waits for the user's turn to stand in."""

    def __init__(self) -> None:
        self._placed: list[Json] = []
        self._waiting: list[Json] = []
        self._open = False
        """Whether the last turn took system text in: a user's turn after it is the same turn."""

    @property
    def ends_with_user(self) -> bool:
        return bool(self._placed) and self._placed[-1]["role"] == "user" and not self._waiting

    def add(self, message: Json) -> None:
        if message["role"] == "user" and self._waiting:
            message = {**message, "content": _behind_results(blocks_of(message), self._waiting)}
            self._waiting = []
        elif message["role"] == "user" and self._open:
            self._extend(blocks_of(message))
            return
        else:
            self._settle()
        self._open = False
        self._placed.append(message)

    def keep(self, group: list[Json]) -> None:
        whole = group[0]
        if len(group) > 1:
            whole = {**whole, "content": [block for message in group for block in blocks_of(message)]}
        self._placed.append(whole)
        self._open = False

    def say(self, blocks: list[Json]) -> None:
        if not blocks:
            return
        if self.ends_with_user:
            self._extend(blocks)
            self._open = True
        else:
            # Never between a tool call and its results: what comes next decides.
            self._waiting += blocks

    def finished(self) -> list[Json]:
        self._settle()
        return self._placed

    def _extend(self, blocks: list[Json]) -> None:
        last = self._placed[-1]
        self._placed[-1] = {**last, "content": [*blocks_of(last), *blocks]}

    def _settle(self) -> None:
        if self._waiting:
            self._placed.append({"role": "user", "content": self._waiting})
            self._waiting = []


def _system_runs(messages: list[Json]) -> Iterator[tuple[int, list[Json]]]:
    """Each message with its index, system messages in a row together."""
    index = 0
    while index < len(messages):
        end = index + 1
        while messages[index]["role"] == "system" and end < len(messages) and messages[end]["role"] == "system":
            end += 1
        yield index, messages[index:end]
        index = end


def _behind_results(blocks: list[Json], said: list[Json]) -> list[Json]:
    results = 0
    while results < len(blocks) and blocks[results].get("type") == "tool_result":
        results += 1
    return [*blocks[:results], *said, *blocks[results:]]


def _tagged(block: Json) -> Json:
    return {**block, "text": f"<system>\n{block['text']}\n</system>"}


def _says(block: Json) -> bool:
    return bool(str(block.get("text") or "").strip())


def fit_prefill(draft: Draft) -> None:
    """An answer that the client has begun: continued where the model can, else asked for in a turn after it."""
    if not _ends_with_assistant(draft.get("messages")):
        return
    _drop_blank_end(draft)
    messages: list[Json] = draft.get("messages")
    if not _ends_with_assistant(messages):
        return
    last = messages[-1]
    end = blocks_of(last)[-1]
    kind = str(end.get("type"))
    if kind in SERVER_SIDE or kind.endswith("_tool_result"):
        return
    thinks = draft.thinking in {"enabled", "adaptive"}
    if draft.card.takes_prefill and not thinks and draft.output("format") is None:
        text = str(end.get("text", ""))
        if kind == "text" and text != text.rstrip():
            content = [*blocks_of(last)[:-1], {**end, "text": text.rstrip()}]
            draft["messages"] = [*messages[:-1], {**last, "content": content}]
            draft.note("messages", "changed", "blanks at the end of a begun answer, taken off")
        return
    draft["messages"] = [*messages, {"role": "user", "content": [{"type": "text", "text": CONTINUE}]}]
    draft.note("messages", "changed", f"{draft.card.id} continues no begun answer here; it is asked to")


def _ends_with_assistant(messages: list[Json]) -> bool:
    return bool(messages) and messages[-1]["role"] == "assistant"


def _drop_blank_end(draft: Draft) -> None:
    """An assistant's last turn of nothing but blanks begins no answer, and the API refuses blank text."""
    messages: list[Json] = draft.get("messages")
    while _ends_with_assistant(messages):
        blocks = blocks_of(messages[-1])
        kept = list(blocks)
        while kept and kept[-1].get("type", "text") == "text" and not _says(kept[-1]):
            kept.pop()
        if len(kept) == len(blocks) and kept:
            return
        rest = [{**messages[-1], "content": kept}] if kept else []
        messages = [*messages[:-1], *rest]
        draft["messages"] = messages
        draft.note("messages", "ignored", "a begun answer without text")


def refuse_media(draft: Draft) -> None:
    """Raises GatewayError (400) for pictures and PDFs that the model cannot read: leaving them out would be a lie."""
    unread = {kind: called for kind, (ability, called) in MEDIA.items() if not getattr(draft.card, ability)}
    if not unread:
        return
    for index, message in enumerate(draft.get("messages")):
        for block in _all_blocks(blocks_of(message)):
            kind = str(block.get("type"))
            if kind in unread and not (kind == "document" and _is_text(block)):
                raise invalid_request(
                    f"messages.{index}: {draft.card.id} does not read {unread[kind]}; name another model for them.",
                    param=f"messages.{index}.content",
                )


def _all_blocks(blocks: list[Json]) -> Iterator[Json]:
    for block in blocks:
        yield block
        if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
            yield from (inner for inner in block["content"] if isinstance(inner, dict))


def _is_text(document: Json) -> bool:
    source = document.get("source")
    return isinstance(source, dict) and source.get("type") in ("text", "content")
