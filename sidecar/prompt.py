"""The prompt of one exchange while layers act on it: frozen positions in front, the live zone behind."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from sidecar.conversation import (
    DEFAULT_BYTES_A_TOKEN,
    LONGEST_KEPT,
    THINKING,
    Changed,
    Edit,
    Flat,
    Lifetime,
    Line,
    Match,
    Position,
    Sent,
    holds_thinking,
    rolling,
)
from sidecar.exchange import Json

if TYPE_CHECKING:
    from sidecar.miss_causes import Expected

REPAIR: Final = "prefix_repair"
THINKING_MEMORY: Final = "thinking_memory"
SYSTEM_TAG: Final = "<system>\n{}\n</system>"
"""As `fit` writes system text that stands in mid-conversation."""


@dataclass(frozen=True, slots=True)
class Saving:
    """What a layer kept from one position, in this request or an earlier one."""

    layer: str
    index: int
    bytes: int
    """Of compact JSON; negative where it added."""
    frozen: bool


class Snapshot(NamedTuple):
    changes: int
    frozen: int
    thawed: bool
    repairable: tuple[Changed, ...]
    edits: dict[int, Edit]
    marks: dict[int, Lifetime]
    renewed: dict[int, bytes]


class Prompt:
    """What the client wrote, position by position, and what goes upstream in its place.

    `frozen` leading positions went upstream before and go out as they did; editing one of them raises ValueError.
    """

    def __init__(self, project: str, positions: list[Position], flat: Flat | None = None) -> None:
        """`flat` is what is known of the positions, where somebody has looked at them."""
        self.project = project
        self.positions = positions
        self.chain = rolling(project, (position.digest for position in positions)) if flat is None else flat.chain
        self.zone_ends = _zone_ends(positions) if flat is None else flat.zone_ends
        """Where the tools end and where the system text does, in whatever order they are."""
        self.frozen = 0
        self.line: Line | None = None
        self.session: str | None = None
        """What the client itself calls the conversation, where it does."""
        self.groups: list[str] = []
        """Keys by which its conversation is found again."""
        self.known = 0
        """How many positions the line had when it was found: other requests may bring it further meanwhile."""
        self.expected: Expected | None = None
        """What should be in Claude's cache for it."""
        self.repairable: tuple[Changed, ...] = ()
        """What the client changed in the frozen zone, where nothing else differs: for `mend`."""
        self.cold = False
        """Whether nothing of the conversation is in the prompt cache any more."""
        self.thawed = False
        self.taken_back: int | None = None
        """The first position that `take_back` changed."""
        self.marks: dict[int, Lifetime] = {}
        """Our own cache markers."""
        self._written_marks: Mapping[int, str] = _marks_of(positions) if flat is None else flat.marks
        self.client_marks = dict(self._written_marks)
        """The client's own, of which a layer may take away what is too many."""
        self._edits: dict[int, Edit] = {}
        self.changes = 0
        """How often a layer has changed what a snapshot holds."""
        self._live_bytes: tuple[int, int] | None = None
        """Where the live zone began when they were added up."""
        self._renewed: dict[int, bytes] = {}
        """Positions mended in this request, and the digest of what the client writes there now."""
        self._mended: dict[int, bytes] = {}
        """What repairs go on from, at positions that are live again and yet sent as they were."""
        self.reordered = False
        self.thinks = holds_thinking(positions) if flat is None else flat.thinks
        """Whether the client itself returns signed thinking: it is bound to everything before it."""
        self.keeps_thinking = False
        """Whether what Claude thinks now will be put back when its answer comes back."""
        self.thinking_refused = False
        """Whether Claude refused thinking that was put back."""

    # --- what is known

    def resume(self, found: Match, now: float) -> None:
        """Go on from a known line: what it shares with this request is frozen as it was sent."""
        self.line = line = found.line
        self.known = len(line.sent)
        self.frozen = found.common
        self.cold = line.is_cold(now)
        self.repairable = tuple(
            [Changed(index, orjson.loads(line.sent[index].raw), self.positions[index].block) for index in found.changed]
        )

    def reorder(self, positions: list[Position]) -> None:
        """The same positions, tools in the order in which they were sent before."""
        self.positions = positions
        self.chain = rolling(self.project, (position.digest for position in positions))
        self._written_marks = _marks_of(positions)
        self.client_marks = dict(self._written_marks)
        self._live_bytes = None
        self.reordered = True

    def mend(self, amendments: Sequence[str], *, as_system: bool) -> None:
        """Send the frozen text in the place of what the client changed, and say at the tail what holds now."""
        if not self.repairable or self.line is None:
            raise ValueError("there is nothing to repair")
        self.changes += 1
        line, changed = self.line, {change.index: change for change in self.repairable}
        for index, change in changed.items():
            self._edits[index] = line.sent[index].edit or Edit((change.frozen,))
        self._renewed = {index: self.positions[index].digest for index in changed}
        self.frozen = self.known
        self.repairable = ()
        for text in amendments:
            self.append(text, REPAIR, as_system=as_system)

    def thaw(self) -> None:
        """Make all of it live again, as the client wrote it: only where the prefix is written anew anyway."""
        if self.thawed:
            return
        self.changes += 1
        self.thawed = True
        self.frozen = 0
        self.repairable = ()
        self._edits.clear()
        self._renewed.clear()

    def take_back(self) -> None:
        """Send all of it as the client wrote it. What stands before the first edit stays as it was sent, with the
        thinking that was put back there: only behind a change it would be bound to another conversation."""
        self.changes += 1
        edits = {index: edit for index in self.edited if (edit := self.edit(index)) is not None}
        self.taken_back = min(
            (index for index, edit in edits.items() if not _is_as_written(edit, self.positions[index].block)),
            default=len(self.positions),
        )
        self.frozen = min(self.frozen, self.taken_back)
        self.repairable = ()
        self._edits = {index: edit for index, edit in self._edits.items() if index < self.taken_back}
        self._mended = {index: raw for index, raw in self._mended.items() if index < self.taken_back}
        self._renewed.clear()

    # --- what layers read

    @property
    def newest(self) -> int:
        """First position of the newest user's turn: of the trailing messages that are not the assistant's."""
        index = len(self.positions)
        while index and self.positions[index - 1].zone == "messages" and self.positions[index - 1].role != "assistant":
            index -= 1
        return index

    @property
    def goes_on(self) -> bool:
        """Whether it belongs to the conversation of `line`, and shares not only tools and system text with it."""
        return bool(self.repairable) or (self.frozen > 0 and self.positions[self.frozen - 1].zone == "messages")

    @property
    def live(self) -> range:
        return range(self.frozen, len(self.positions))

    @property
    def live_bytes(self) -> int:
        """Bytes of JSON that the client wrote in the live zone: no fewer than its texts have characters."""
        if self._live_bytes is None or self._live_bytes[0] != self.frozen:
            self._live_bytes = self.frozen, sum([len(at.raw) for at in islice(self.positions, self.frozen, None)])
        return self._live_bytes[1]

    def block(self, index: int) -> Json | None:
        """The block as it will be sent; None where it is left out."""
        if (edit := self.edit(index)) is None:
            return self.positions[index].block
        return edit.blocks[0] if edit.blocks else None

    def edit(self, index: int) -> Edit | None:
        """What stands in the place of the client's block, from an earlier turn or this one."""
        if (edit := self._edits.get(index)) is not None:
            return edit
        return self.line.sent[index].edit if index < self.frozen and self.line is not None else None

    @property
    def edited(self) -> list[int]:
        """Positions that do not go as the client wrote them, ascending."""
        if not self._edits and (self.line is None or not self.line.edited):
            return []
        frozen = self.line.edited[: bisect_left(self.line.edited, self.frozen)] if self.line is not None else ()
        return sorted({*frozen, *self._edits})

    def size(self, index: int) -> int:
        """Bytes that are sent for a position."""
        if index < self.frozen and self.line is not None:
            return self.line.sent[index].size
        edit = self._edits.get(index)
        return len(self.positions[index].raw) if edit is None else edit.size

    def tokens_until(self, index: int) -> int:
        """Tokens of the first `index` positions: as returned usage said where requests ended, else interpolated."""
        known = self.line.known_tokens() if self.line is not None else [(0, 0)]
        end = bisect_left(known, (self.frozen + 1,))
        above = bisect_left(known, (index,), hi=end)
        if above == end:
            until, tokens = known[above - 1]
            return tokens + round(self.bytes_sent(until, index) / self.bytes_a_token)
        until, tokens = known[above]
        if until == index:
            return tokens
        below, few = known[above - 1]
        return few + int((tokens - few) * (self.bytes_sent(below, index) / max(1, self.bytes_sent(below, until))))

    @property
    def bytes_a_token(self) -> float:
        """Bytes of JSON to a token, from the newest request of this conversation that Claude counted."""
        if self.line is not None:
            for one in reversed(self.line.requests):
                if one.tokens and 0 < one.until <= len(self.line.sizes):
                    return self.line.sizes[one.until - 1] / one.tokens
        return DEFAULT_BYTES_A_TOKEN

    def bytes_sent(self, start: int, end: int) -> int:
        """Bytes sent for the positions from `start` up to `end`."""
        frozen = 0
        if start < self.frozen and end > start and self.line is not None:
            sizes = self.line.sizes
            frozen = sizes[min(end, self.frozen) - 1] - (sizes[start - 1] if start else 0)
        if start <= self.frozen and end == len(self.positions) and not self._edits:
            return frozen + self.live_bytes
        return frozen + sum(self.size(index) for index in range(max(start, self.frozen), end))

    def savings(self) -> Iterator[Saving]:
        """What layers keep from this request, those of earlier turns included."""
        for index in self.edited:
            edit = self.edit(index)
            if edit is None:
                continue
            for layer, saved in edit.saved:
                yield Saving(layer, index, saved, index < self.frozen)
            if edit.ahead:
                yield Saving(THINKING_MEMORY, index, -edit.ahead_size, index < self.frozen)

    # --- what layers do

    def replace(self, index: int, block: Json, layer: str) -> None:
        self._edit(index, (block,), layer)

    def remove(self, index: int, layer: str) -> None:
        """Leave a block out. A message of which nothing is left would be refused: ValueError for its last block."""
        is_alone = all(self.block(other) is None for other in self._of_message(index) if other != index)
        if is_alone or self.positions[index].message < 0:
            raise ValueError("nothing would be left of the message")
        self._edit(index, (), layer)

    def split(self, index: int, at: int) -> None:
        """Send a text block as two, so that a cache marker stands on its first `at` characters. Not where the client
        has put a marker of its own: that one is for all of it."""
        block = self.block(index)
        if index < self.frozen or block is None or index in self.client_marks:
            raise ValueError(f"position {index} cannot be split")
        self.changes += 1
        text, edit = block["text"], self._edits.get(index)
        parts = {**block, "text": text[:at]}, {**block, "text": text[at:]}
        self._edits[index] = replace(edit or Edit(()), blocks=parts, split=True)

    def append(self, text: str, layer: str, *, as_system: bool = False) -> None:
        """Say something behind the newest user's turn; it stays there in later turns. ValueError where there is no
        such turn that is live."""
        self.changes += 1
        index = self._end_of_user_turn()
        before = self._edits.get(index) or Edit((self.positions[index].block,))
        block = {"type": "text", "text": text if as_system else SYSTEM_TAG.format(text)}
        self._edits[index] = replace(
            before,
            behind=(*before.behind, block),
            as_system=as_system,
            saved=(*before.saved, (layer, -len(orjson.dumps(block)))),
        )

    def put_back(self, index: int, thinking: Sequence[Json], size: int) -> None:
        """Send Claude's own thinking in front of the assistant's block that came behind it; from then on it stays
        there. `size` is what it counts for, see `Edit`. ValueError where the block is frozen, or is not sent as it
        came: Claude takes thinking only in front of what it really said."""
        if index < self.frozen or index in self._edits or self.positions[index].role != "assistant":
            raise ValueError(f"no thinking can stand in front of position {index}")
        self.changes += 1
        self._edits[index] = Edit((self.positions[index].block,), ahead=tuple(thinking), ahead_size=size)

    @property
    def puts_back(self) -> bool:
        """Whether it holds thinking that the client did not send."""
        return any(edit is not None and edit.ahead for edit in map(self.edit, self.edited))

    def leave_out_thinking(self) -> None:
        """Claude refused the thinking in it: from now on the conversation goes without. Of what the client sends back
        itself, without what there is now."""
        self.changes += 1
        self.thinking_refused = self.puts_back
        if self.line is not None:
            self._mended |= {index: self.line.sent[index].raw for index in self.edited if index < self.frozen}
        self._edits = {index: edit.without_ahead() for index in self.edited if (edit := self.edit(index)) is not None}
        for index, at in enumerate(self.positions):
            if at.kind in THINKING:
                self._edits[index] = Edit(())
        self._renewed.clear()
        self.frozen = 0
        self.thawed = True

    def mark(self, index: int, ttl: Lifetime) -> None:
        self.changes += 1
        self.marks[index] = ttl

    def snapshot(self) -> Snapshot:
        """What `restore` brings back. As long as there are no more `changes` it is the same."""
        edits, marks, renewed = dict(self._edits), dict(self.marks), dict(self._renewed)
        return Snapshot(self.changes, self.frozen, self.thawed, self.repairable, edits, marks, renewed)

    def restore(self, snapshot: Snapshot) -> None:
        """Undo what a layer did that failed half-way."""
        _, self.frozen, self.thawed, self.repairable, edits, marks, renewed = snapshot
        self._edits, self.marks, self._renewed = dict(edits), dict(marks), dict(renewed)
        self.changes += 1

    def _edit(self, index: int, blocks: tuple[Json, ...], layer: str) -> None:
        if index < self.frozen:
            raise ValueError(f"position {index} went upstream before; it stays as it was sent")
        before = self._edits.get(index) or Edit((self.positions[index].block,))
        if before.ahead:
            raise ValueError(f"position {index} has its thinking in front of it; it stays as Claude said it")
        self.changes += 1
        edit = replace(before, blocks=blocks)
        self._edits[index] = replace(edit, saved=(*before.saved, (layer, before.size - edit.size)))

    def _end_of_user_turn(self) -> int:
        for index in range(len(self.positions) - 1, self.frozen - 1, -1):
            if self.positions[index].role == "user":
                return index
        raise ValueError("no user's turn is live")

    # --- what goes upstream

    def assemble(self, request: Json, *, takes_mid_system: bool) -> Json:
        """The request as it goes upstream; `request` itself where nothing differs. Messages that nobody touched are
        the client's own objects."""
        touched = sorted({*self.edited, *self.marks, *(self._written_marks.keys() - self.client_marks.keys())})
        if not (touched or self.reordered):
            return request
        assembled = dict(request)
        tools, system = self.zone_ends
        in_tools, in_system = bisect_left(touched, tools), bisect_left(touched, system)
        if in_tools or self.reordered:
            assembled["tools"] = self._zone(range(tools), touched[:in_tools])
        if in_system > in_tools:
            assembled["system"] = self._zone(range(tools, system), touched[in_tools:in_system])
        messages: list[Json] = []
        rest = 0
        for indices in self._messages_of(touched[in_system:]):
            number = self.positions[indices[0]].message
            messages += request["messages"][rest:number]
            messages += self._message(request["messages"][number], indices, takes_mid_system)
            rest = number + 1
        assembled["messages"] = messages + request["messages"][rest:]
        return assembled

    def _zone(self, indices: range, touched: Iterable[int]) -> list[Json]:
        """Its blocks: the client's own, but for those that are touched or marked."""
        blocks = [at.block for at in self.positions[indices.start : indices.stop]]
        marked = [index for index in self.client_marks if index in indices]
        for index in sorted({*touched, *marked}, reverse=True):
            at = index - indices.start
            blocks[at : at + 1] = self._emitted(index)
        return blocks

    def _messages_of(self, touched: Iterable[int]) -> Iterator[range]:
        """The messages that these positions are of, ascending."""
        end = 0
        for index in touched:
            if index >= end:
                of_message = self._of_message(index)
                end = of_message.stop
                yield of_message

    def _message(self, message: Json, indices: range, takes_mid_system: bool) -> list[Json]:
        messages: list[Json] = []
        content: list[Json] = []
        for index in indices:
            edit = self.edit(index)
            if edit is None or not edit.as_system or not takes_mid_system:
                content += self._emitted(index)
                continue
            content += edit.blocks
            if content:
                messages.append({**message, "content": content})
            # A message that the client went on with since then goes on behind: what was sent stays in its order.
            content = []
            *first, last = edit.behind
            messages.append({"role": "system", "content": [*first, _marked(last, self._ttl(index))]})
        if content:
            messages.append({**message, "content": content})
        return messages

    def _of_message(self, index: int) -> range:
        """The positions of the message that this one is of."""
        number, start, end = self.positions[index].message, index, index + 1
        while start and self.positions[start - 1].message == number:
            start -= 1
        while end < len(self.positions) and self.positions[end].message == number:
            end += 1
        return range(start, end)

    def _emitted(self, index: int) -> list[Json]:
        edit = self.edit(index)
        blocks = [self.positions[index].block] if edit is None else [*edit.ahead, *edit.blocks]
        if edit is not None:
            blocks += [_tagged(block) if edit.as_system else block for block in edit.behind]
        if blocks:
            marked = 0 if edit is not None and edit.split else -1
            blocks[marked] = _marked(blocks[marked], self._ttl(index))
        return blocks

    def _ttl(self, index: int) -> str | None:
        return self.client_marks.get(index) or self.marks.get(index)

    # --- what is remembered

    def sent(self) -> Iterator[Sent]:
        """The live positions as they go upstream."""
        for index, at in enumerate(self.positions[self.frozen :], self.frozen):
            raw, edit = at.raw, self._edits.get(index)
            size = len(raw) if edit is None else edit.size
            kept = self._mended.get(index, raw if len(raw) <= LONGEST_KEPT else b"")
            yield Sent(at.digest, kept, at.zone, at.role, size, edit)

    @property
    def renewed(self) -> Mapping[int, bytes]:
        return self._renewed


def _zone_ends(positions: Sequence[Position]) -> tuple[int, int]:
    tools = bisect_left(positions, True, key=lambda at: at.zone != "tools")
    return tools, bisect_left(positions, True, lo=tools, key=lambda at: at.zone == "messages")


def _marks_of(positions: Sequence[Position]) -> dict[int, str]:
    return {index: at.ttl for index, at in enumerate(positions) if at.ttl is not None}


def _is_as_written(edit: Edit, block: Json) -> bool:
    """Whether it says what the client wrote: in two pieces, perhaps, or behind Claude's thinking."""
    whole = edit.split and "".join(part["text"] for part in edit.blocks) == block["text"]
    return not edit.behind and (edit.blocks == (block,) or whole)


def _marked(block: Json, ttl: str | None) -> Json:
    if ttl is None:
        return block
    return {**block, "cache_control": {"type": "ephemeral", "ttl": ttl} if ttl != "5m" else {"type": "ephemeral"}}


def _tagged(block: Json) -> Json:
    return {**block, "text": SYSTEM_TAG.format(block["text"])}
