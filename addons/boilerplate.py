"""Leaves out editor boilerplate that says nothing new."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Self

from sidecar.boilerplate.catalogue import Row, built_in
from sidecar.boilerplate.copies import SentWords
from sidecar.boilerplate.repeats import fold
from sidecar.boilerplate.segments import Segment, segments_in
from sidecar.boilerplate.stale import Trimmed, trim
from sidecar.conversation import texts_of, with_texts
from sidecar.exchange import Exchange
from sidecar.prompt import Prompt
from sidecar.services import Services

LAYER: Final = "boilerplate"
WORK: Final = 16_000_000
"""Characters that one request may have looked through; about 20 ms."""
ON_THE_LOOP: Final = 1_000_000
"""Bytes of new blocks above which it is done in a thread."""
SHORTEST_REPEATED: Final = 160
"""Bytes of a conversation's first request, below which nothing stands in it twice that is longer than its marker."""
MARKED: Final = "[cgw "
INTRO: Final = MARKED.encode()
"""What may be a marker is looked at, however short the request is."""
FEWEST_WHEN_COLD: Final = 400
"""Characters: for less, a prefix that can stay as it is does."""
CONVERSATIONS: Final = 500


class Rows(NamedTuple):
    """What may be looked for in a client's messages, and how many beginnings that are for each text."""

    rows: Sequence[Row]
    beginnings: int

    @classmethod
    def of(cls, rows: Iterable[Row], *, but: str) -> Self:
        """All but those of one class."""
        some = [row for row in rows if row.kind != but]
        return cls(some, sum(len(row.begin) for row in some))


class OverspentError(Exception):
    """The request would take more work than it may."""


class Boilerplate:
    """Instructions that stand in the conversation already become a marker. Where the prompt cache is cold, the state of
    the editor in earlier turns goes too."""

    def __init__(self, services: Services) -> None:
        settings = services.settings
        self._enabled = settings.strip_ide_boilerplate
        self._strip_when_cold = settings.strip_when_cold
        self._catalogue = built_in().with_own(settings.boilerplate)
        self._rows: dict[str, tuple[Rows, Rows]] = {}
        """By client."""
        self._words: OrderedDict[tuple[str, str], SentWords] = OrderedDict()
        """By project and conversation; those that a request works with are not in it."""

    async def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        if prompt is None or not exchange.reduces:
            return
        if not exchange.policy.switch("strip_ide_boilerplate", self._enabled):
            return
        size = prompt.live_bytes
        if prompt.line is None and size < SHORTEST_REPEATED and not [at for at in prompt.positions if INTRO in at.raw]:
            return
        words = self._words.pop((exchange.project, exchange.conversation), None) or SentWords()
        if size > ON_THE_LOOP or prompt.cold:
            await asyncio.to_thread(self._strip, exchange, prompt, words)
        else:
            self._strip(exchange, prompt, words)
        self._words[exchange.project, exchange.conversation] = words
        while len(self._words) > CONVERSATIONS:
            self._words.popitem(last=False)

    def _rows_of(self, client: str) -> tuple[Rows, Rows]:
        """Of what is repeated, and of what gets stale; what is never touched is in both."""
        if (known := self._rows.get(client)) is None:
            rows = self._catalogue.for_client(client)
            known = self._rows[client] = Rows.of(rows, but="B"), Rows.of(rows, but="A")
        return known

    def _strip(self, exchange: Exchange, prompt: Prompt, words: SentWords) -> None:
        repeated, stale = self._rows_of(exchange.client)
        work = _Work(WORK)
        try:
            strict = exchange.client_headers.get("x-gateway-strict") == "1"
            if self._strip_when_cold and prompt.cold and not strict:
                _leave_out_stale(exchange, prompt, stale, work)
            words.follow(prompt)
            _fold_repeats(exchange, prompt, repeated, words, work)
        except OverspentError:
            exchange.decide(LAYER, "the rest was kept as it is: too much text to look through")


class _Work:
    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self, characters: int) -> None:
        """Raises OverspentError."""
        self._left -= characters
        if self._left < 0:
            raise OverspentError


def _fold_repeats(exchange: Exchange, prompt: Prompt, rows: Rows, words: SentWords, work: _Work) -> None:
    told: list[str] = []
    saved = 0
    for index in prompt.live:
        at = prompt.positions[index]
        if at.zone != "messages" or at.role == "assistant" or (block := prompt.block(index)) is None:
            continue
        before, after = texts_of(block), []
        for text in before:
            segments, folded = _segments(prompt, index, text, rows, work), None
            if segments or MARKED in text:
                folded = fold(text, segments, words.before(prompt, index, work.spend))
            after.append(text if folded is None else folded.text)
            told += folded.rows if folded is not None else ()
        if after != before:
            prompt.replace(index, with_texts(block, after), LAYER)
            saved += sum(map(len, before)) - sum(map(len, after))
    if told:
        exchange.decide(LAYER, f"told by a marker: {_listed(told)}", characters=saved)


def _leave_out_stale(exchange: Exchange, prompt: Prompt, rows: Rows, work: _Work) -> None:
    """The prefix is written anew whatever we do. The newest copy of each row stays."""
    if any(saving.layer == "context_pruning" for saving in prompt.savings() if saving.frozen):
        return  # what was pruned would come back, and perhaps not fit
    if not any(row.kind == "B" for row in rows.rows):
        return
    seen: set[str] = set()
    trimmed: dict[int, list[str]] = {}
    characters, turns = 0, set()
    for index in range(len(prompt.positions) - 1, -1, -1):
        position = prompt.positions[index]
        if position.zone != "messages" or position.role == "assistant":
            continue
        texts = texts_of(position.block)
        for slot in range(len(texts) - 1, -1, -1):
            short = _trimmed(_segments(prompt, index, texts[slot], rows, work), texts[slot], seen)
            if short is not None:
                trimmed.setdefault(index, [*texts])[slot] = short.text
                characters += short.characters
                turns.add(position.message)
    if characters < FEWEST_WHEN_COLD:
        return
    prompt.thaw()
    for index, texts in trimmed.items():
        prompt.replace(index, with_texts(prompt.positions[index].block, texts), LAYER)
    count = len(turns)
    exchange.note("messages", "changed", f"the editor's state in {count} earlier turn{'s' * (count > 1)}, left out")
    exchange.decide(
        LAYER, "the cache is cold: the editor's state in earlier turns was left out", characters=characters, turns=count
    )


def _trimmed(segments: Sequence[Segment], text: str, seen: set[str]) -> Trimmed | None:
    """`seen` are the rows of which a newer copy stands behind."""
    older = [segment for number, segment in enumerate(segments) if _is_older(segments, number, seen)]
    seen.update(segment.row.id for segment in segments)
    return trim(text, older) if older else None


def _is_older(segments: Sequence[Segment], number: int, seen: set[str]) -> bool:
    row = segments[number].row
    return row.id in seen or any(later.row.id == row.id for later in segments[number + 1 :])


def _segments(prompt: Prompt, index: int, text: str, rows: Rows, work: _Work) -> Sequence[Segment]:
    if not rows.rows:
        return ()
    position = prompt.positions[index]
    work.spend(len(text) * rows.beginnings)
    return segments_in(text, rows.rows, position.role, in_result=position.kind == "tool_result")


def _listed(told: Sequence[str]) -> str:
    return ", ".join(row if count == 1 else f"{count} {row}" for row, count in Counter(told).items())
