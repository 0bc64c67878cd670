"""Trouble that can be seen in a conversation: tests that fail again, edits that did not apply, apologies, complaints.

A function of the newest blocks alone, so that it comes out the same after a restart. A block is read once; what it
showed is remembered by its digest.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.conversation import Position, texts_of
from sidecar.routing.words import RESULT_AS_TEXT, own_words

LOOKED_AT: Final = 40
"""Newest blocks: what is further back is over."""
RESULT_HEAD, RESULT_TAIL = 2_000, 6_000
"""Characters of a tool's result that are looked at: errors stand in front, test summaries at the end."""
ASSISTANT_HEAD: Final = 400
COMPLAINT_HEAD: Final = 600
MOST_TESTS: Final = 40
MOST_REMEMBERED: Final = 20_000

FAILED_TEST: Final = re.compile(
    r"^(?:FAILED (?P<pytest>\S+::\S+)"
    r"|--- FAIL: (?P<go>\S+)"
    r"|test (?P<cargo>\S+) \.\.\. FAILED"
    r"|[^\S\n]*● (?P<jest>\S.{2,120}?)$"
    r"|[^\S\n]*[✕✗×] (?P<spec>\S.{2,120}?)(?: \(\d+ ?m?s\))?$"
    r"|(?:FAIL|ERROR): (?P<unittest>\w+ \([\w.]+\))"
    r"|[^\S\n]*FAIL +(?P<vitest>\S+\.(?:test|spec)\.\w+)"
    r"|\[ERROR\] +(?P<surefire>[\w.]+\.\w+:\d+)"
    r"|(?P<place>[\w./-]+\.\w+:\d+): (?:\w*Error|\w*Exception|Failed)\b)",
    re.MULTILINE,
)


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


FAILED_EDIT: Final = _any(
    r"string to replace not found",
    r"old_str(?:ing)?`? (?:was )?(?:not found|did not appear)",
    r"oldString not found",
    r"could not find (?:the )?(?:old_?string|string to replace)",
    r"no replacement was performed",
    r"found multiple matches",
    r"no sufficiently similar match",
    r"SEARCH/REPLACE blocks? failed to match",
    r"SEARCH block does not match",
    r"does not match anything in the file",
    r"did not match any (?:text|content)",
    r"did not conform to the edit format",
    r"patch does not apply",
    r"error: patch failed",
    r"hunk #\d+ failed",
    r"failed to (?:find expected lines|apply (?:the )?(?:patch|diff|edit))",
    r"diff (?:could not be|was not) applied",
    r"unable to apply (?:the )?(?:patch|diff|edit)",
)
"""What the editing tools of the clients answer when an edit did not apply."""
APOLOGY: Final = _any(
    r"\bi (?:sincerely |deeply )?apologi[sz]e",
    r"\bmy apologies",
    r"\bi'?m (?:so |very )?sorry",
    r"\bsorry (?:about|for) (?:that|the)\b",
    r"\byou(?:'re| are) (?:absolutely |completely |quite )?right\b",
    r"\bmy mistake\b",
    r"\bi made (?:a|an|another) (?:mistake|error)",
)
_NOT: Final = r"n[o']?t"
COMPLAINT: Final = _any(
    r"\b(?:that|this|it)(?:'s| is) (?:still |just |completely |totally )?(?:wrong|incorrect|not (?:right|correct))\b",
    r"\bnot what i (?:asked|wanted|meant)\b",
    rf"\b(?:that|this|it) (?:did|does|is) ?{_NOT} (?:work|fix|help|compile|solve|working|right|correct)\b",
    rf"\bdoes ?{_NOT} work\b",
    rf"\bdid ?{_NOT} work\b",
    rf"\bstill (?:does|do|is|are|has|have) ?{_NOT}\b",
    r"\bstill (?:not|fails?|failing|broken|wrong|crash(?:es|ing)|getting|the same|see(?:ing)?)\b",
    r"\b(?:the )?same (?:error|problem|issue|failure|result)\b",
    rf"\byou (?:broke|forgot|missed|ignored|did ?{_NOT}|messed)\b",
    r"\b(?:fail(?:s|ed|ing)?|broken|broke|wrong) again\b",
    r"\bfail(?:s|ing) the same way\b",
    r"\b(?:undo|revert) (?:that|this|it|your)\b",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one block shows."""

    failing: tuple[str, ...] = ()
    failed_edit: bool = False
    apology: bool = False
    complaint: bool = False


NOTHING: Final = Finding()


@dataclass(frozen=True, slots=True)
class Trouble:
    """Counts over the newest blocks."""

    same_test: int = 0
    """How often a test that had failed failed again, at most over all tests. Where fewer fail than before it is
    progress, and none failed again."""
    failed_edits: int = 0
    apologies: int = 0
    """Answers that begin with one."""
    complaints: int = 0
    """Times the user said that it is wrong."""
    what: str = ""
    """The test that failed again most often."""


def trouble_in(positions: Sequence[Position]) -> Trouble:
    """The user's complaints count only behind an answer."""
    start = max(0, len(positions) - LOOKED_AT)
    again: dict[str, int] = {}
    newest: set[str] = set()
    edits = apologies = complaints = 0
    answered = any(at.role == "assistant" for at in positions[max(0, start - 4) : start])
    for at in positions[start:]:
        if at.zone != "messages":
            continue
        if at.role == "assistant":
            answered = True
        found = _finding(at)
        if found is NOTHING:
            continue
        if found.failing:
            if newest.intersection(found.failing) and not newest > {*found.failing}:
                for test in newest.intersection(found.failing):
                    again[test] = again.get(test, 0) + 1
            newest = {*found.failing}
        edits += found.failed_edit
        apologies += found.apology
        complaints += found.complaint and answered
    what = max(again, key=lambda test: again[test], default="")
    return Trouble(again.get(what, 0), edits, apologies, complaints, what)


def is_result(at: Position) -> bool:
    """Whether it is what a tool gave back."""
    if at.kind == "tool_result":
        return True
    return at.role == "user" and at.kind == "text" and bool(RESULT_AS_TEXT.match(str(at.block.get("text") or "")[:600]))


_found: OrderedDict[bytes, Finding] = OrderedDict()


def _finding(at: Position) -> Finding:
    known = _found.get(at.digest)
    if known is None:
        known = _found[at.digest] = _read(at)
        if len(_found) > MOST_REMEMBERED:
            _found.popitem(last=False)
    return known


def _read(at: Position) -> Finding:
    if at.role == "assistant":
        text = str(at.block.get("text") or "")[:ASSISTANT_HEAD] if at.kind == "text" else ""
        return Finding(apology=True) if APOLOGY.search(text) else NOTHING
    if is_result(at):
        return _of_result("\n".join(map(_ends_of, texts_of(at.block))))
    if at.kind != "text" or at.role != "user":
        return NOTHING
    return _of_words(str(at.block.get("text") or ""))


def _of_result(text: str) -> Finding:
    failing = tuple(dict.fromkeys(_tests(text)))[:MOST_TESTS]
    edit = bool(FAILED_EDIT.search(text))
    return Finding(failing, edit) if failing or edit else NOTHING


def _of_words(text: str) -> Finding:
    if FAILED_EDIT.search(text[:2_000]):  # aider says so in the user's place
        return Finding(failed_edit=True)
    words = own_words(text)
    failing = tuple(dict.fromkeys(_tests(_ends_of(words))))[:MOST_TESTS]
    complaint = bool(COMPLAINT.search(words[:COMPLAINT_HEAD]))
    return Finding(failing, complaint=complaint) if failing or complaint else NOTHING


def _tests(text: str) -> Iterator[str]:
    for match in FAILED_TEST.finditer(text):
        yield (match[match.lastgroup] if match.lastgroup else match[0]).strip()


def _ends_of(text: str) -> str:
    return text if len(text) <= RESULT_HEAD + RESULT_TAIL else f"{text[:RESULT_HEAD]}\n{text[-RESULT_TAIL:]}"
