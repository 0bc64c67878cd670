"""Lines that already stand in the request become a reference to where they stand."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final, NamedTuple, Self

from sidecar.conversation import Line, Position, with_texts
from sidecar.exchange import Exchange, Json
from sidecar.prompt import Prompt
from sidecar.references.budget import Budget
from sidecar.references.files import FEWEST_LINES, files_in
from sidecar.references.index import LineIndex
from sidecar.references.marker import PREFIX
from sidecar.references.reduce import DEFAULT_GRAIN, SHORTEST, Grain, Reducer, Taken
from sidecar.references.slots import Kind, Walk
from sidecar.references.sources import Source
from sidecar.services import Services

LAYER: Final = "file_references"
WORK: Final = 1_600_000
"""Bytes that one request may have looked at, for about 20 ms. Texts past it stay as they are."""
ON_THE_LOOP: Final = 160 * 1024
"""Bytes of blocks above which it is done in a thread: about 5 ms."""
MARKED: Final = PREFIX.encode()
LINE_END: Final = rb"\n"
"""As JSON writes it."""
MOST_CONVERSATIONS: Final = 64
MOST_BEGUN: Final = 16
MOST_CHARACTERS: Final = 4_000_000
"""Of all conversations that are indexed: about five bytes of memory each. Two of 1 MB beside ten of 200 KB."""


class Sent(NamedTuple):
    """A position as one request sent it. Of what went as the client wrote it, a digest: it may be a picture."""

    digest: bytes
    message: int
    edited: bool
    block: Json | None
    """What was sent in the place of the client's; None where it was left out, or went as it was."""

    @classmethod
    def of(cls, at: Position, block: Json | None) -> Self:
        edited = block is not at.block
        return cls(at.digest, at.message, edited, block if edited else None)

    def stands(self, prompt: Prompt, index: int) -> bool:
        """Whether another request sends the same there."""
        at, block = prompt.positions[index], prompt.block(index)
        if at.digest != self.digest or at.message != self.message:
            return False
        return block is (self.block if self.edited else at.block)


class Newest(NamedTuple):
    """What a request had that was new, for the next one, whose frozen zone it will stand in."""

    sent: Sequence[Sent]
    sources: Sequence[Source]
    """Its texts."""
    walk: Walk
    """Went through it."""


@dataclass(slots=True)
class Indexed:
    """What is known of one conversation's frozen zone."""

    lines: LineIndex = field(default_factory=LineIndex)
    walk: Walk = field(default_factory=Walk)
    until: int = 0
    """How many positions are in it."""
    newest: Newest | None = None
    """Behind those; None where it is to be walked through again."""

    @property
    def characters(self) -> int:
        return self.lines.characters + sum([len(one.text) for one in self.newest.sources] if self.newest else ())

    def take_in(self, prompt: Prompt) -> None:
        """Go on up to the end of the frozen zone."""
        newest, self.newest = self.newest, None
        if newest is not None and self._has_sent(prompt, newest.sent):
            self.until += len(newest.sent)
            self.walk.follow(newest.walk)
            for source in newest.sources:
                self.lines.take_over(source)
        for index in range(self.until, prompt.frozen):
            at = prompt.positions[index]
            for slot in self.walk.block(at.zone, at.role, at.message, prompt.block(index)):
                self.lines.add(slot.text, slot.origin)
        self.until = prompt.frozen

    def _has_sent(self, prompt: Prompt, sent: Sequence[Sent]) -> bool:
        places = range(self.until, self.until + len(sent))
        return places.stop <= prompt.frozen and all(map(Sent.stands, sent, repeat(prompt), places))


class FileReferences:
    """Keeps the first copy of lines and replaces later ones in what is new. Never in what a person typed, in tool
    calls or in the model's words."""

    def __init__(self, services: Services) -> None:
        settings = services.settings
        self._enabled = settings.enable_file_hash_cache
        characters = settings.reference_min_chars
        self._grain = DEFAULT_GRAIN if characters is None else Grain.of_characters(characters)
        self._files = services.files
        self._indexed: OrderedDict[str, Indexed] = OrderedDict()
        """By the id of the line; one that a request works with is not in it."""
        self._one_at_a_time = asyncio.Lock()
        """Of the long ones: together they are no faster, and each takes five bytes a character meanwhile."""
        self._begun: deque[tuple[Prompt, Indexed]] = deque()
        """Conversations whose first request is on its way: nobody knows yet what their line will be called."""
        self.characters = 0
        """Of all of them."""

    async def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        if prompt is None or not exchange.reduces or (prompt.line is not None and prompt.line.references_off):
            return
        if not exchange.policy.switch("enable_file_hash_cache", self._enabled):
            return
        if prompt.line is None and _has_nothing_to_tell(prompt):
            return
        indexed = self._borrow(prompt)
        if prompt.bytes_sent(indexed.until, len(prompt.positions)) > ON_THE_LOOP:
            async with self._one_at_a_time:
                await asyncio.to_thread(self._refer, exchange, prompt, indexed)
        else:
            self._refer(exchange, prompt, indexed)
        self._give_back(prompt, indexed)

    def _refer(self, exchange: Exchange, prompt: Prompt, indexed: Indexed) -> None:
        indexed.take_in(prompt)
        reducer = Reducer(indexed.lines, self._grain, Budget(WORK))
        walk = indexed.walk.fork()
        saved, as_walked = 0, True
        sent: list[Sent] = []
        read: list[Taken] = []
        for index in prompt.live:
            at, block = prompt.positions[index], prompt.block(index)
            taken = [reducer.take(slot) for slot in walk.block(at.zone, at.role, at.message, block)]
            if block is not None and [one for one in taken if one.text is not one.slot.text]:
                block = with_texts(block, [one.text for one in taken])
                prompt.replace(index, block, LAYER)
                saved += sum(len(one.slot.text) - len(one.text) for one in taken)
                as_walked = as_walked and all(one.slot.kind is Kind.RESULT for one in taken)
            sent.append(Sent.of(at, block))
            read += [one for one in taken if one.reading is not None]
        self._count(read, exchange, prompt)
        if as_walked and prompt.line is not None:
            indexed.newest = Newest(sent, reducer.sources, walk)
        elif as_walked and (lines := reducer.taken_in()) is not None:
            indexed.lines, indexed.until = lines, len(prompt.positions)
            indexed.walk.follow(walk)
        if reducer.references:
            runs = f"{reducer.references} run{'s' * (reducer.references > 1)}"
            said = f"{runs} of lines that Claude has already, told by reference"
            exchange.decide(LAYER, said, references=reducer.references, diffs=reducer.diffs, characters=saved)
        if reducer.passed_over:
            count = f"{reducer.passed_over} text{'s' * (reducer.passed_over > 1)}"
            said = f"{count} kept as written: too much to look through"
            exchange.decide(LAYER, said, texts=reducer.passed_over)

    def _count(self, read: Sequence[Taken], exchange: Exchange, prompt: Prompt) -> None:
        """Tell the machine's file cache what the client sent; what the model wrote is not sent by anybody."""
        for one in read:
            if one.reading is None or one.slot.kind is Kind.SOURCE:
                continue
            for file in files_in(one.reading, one.slot.origin):
                size = one.reading.end_of(file.end - 1) - one.reading.starts[file.first]
                saved = sum(used.saved for used in one.used if file.first <= used.stand.first < file.end)
                tokens = self._files.tokens(exchange.project, file.digest) or round(size / prompt.bytes_a_token)
                self._files.seen(
                    exchange.project,
                    file.path,
                    file.digest,
                    tokens=tokens,
                    saved=round(saved / prompt.bytes_a_token),
                    now=exchange.now,
                )

    def _borrow(self, prompt: Prompt) -> Indexed:
        """What is indexed of this conversation. A fork shares only a part of it, and begins anew."""
        if prompt.line is None:
            return Indexed()
        indexed = self._indexed.pop(prompt.line.id, None) or self._begun_by(prompt.line)
        if indexed is None:
            return Indexed()
        if indexed.until > prompt.frozen:
            self._indexed[prompt.line.id] = indexed
            return Indexed()
        self.characters -= indexed.characters
        return indexed

    def _begun_by(self, line: Line) -> Indexed | None:
        """What the conversation's first request took in, where Claude got it as this layer left it."""
        for begun in self._begun:
            prompt, indexed = begun
            if prompt.line is line:
                self._begun.remove(begun)
                if prompt.taken_back is None and not prompt.thinking_refused:
                    return indexed
                self.characters -= indexed.characters
                return None
        return None

    def _give_back(self, prompt: Prompt, indexed: Indexed) -> None:
        """Keep it for the next turn, unless another request has brought this conversation further meanwhile."""
        if prompt.line is None:
            self._begin(prompt, indexed)
            return
        kept = self._indexed.get(prompt.line.id)
        if kept is None or kept.until < indexed.until:
            self._indexed[prompt.line.id] = indexed
            self.characters += indexed.characters - (kept.characters if kept is not None else 0)
        self._indexed.move_to_end(prompt.line.id)
        self._forget()

    def _begin(self, prompt: Prompt, indexed: Indexed) -> None:
        if indexed.until:
            self._begun.append((prompt, indexed))
            self.characters += indexed.characters
            self._forget()

    def _forget(self) -> None:
        """What was used longest ago; the newest stays, whatever it takes."""
        while len(self._indexed) > MOST_CONVERSATIONS or (self.characters > MOST_CHARACTERS and len(self._indexed) > 1):
            self.characters -= self._indexed.popitem(last=False)[1].characters
        while len(self._begun) > MOST_BEGUN or (self.characters > MOST_CHARACTERS and len(self._begun) > 1):
            self.characters -= self._begun.popleft()[1].characters


def _has_nothing_to_tell(prompt: Prompt) -> bool:
    """Of a conversation's first request, in short: no text long enough for a reference, nothing that may be taken for
    one, and no file to count."""
    return prompt.live_bytes < SHORTEST and not [
        at for at in prompt.positions if MARKED in at.raw or at.raw.count(LINE_END) >= FEWEST_LINES - 1
    ]
