"""What stands in a text for the lines that were left out: how it is written, found and known for genuine.

For a reader it says how many lines, where they stand, and how they begin and end. Behind the `@` stands what `expand`
needs: which earlier text (the first letters of its digest), from which of its lines on (from 0), a check, and how the
lines were written where that is not as plain text.

    [cgw: same 45 lines as src/app.py:12-56 above, "def main():" to "return 0" @k3f9.12.x81qa]

The check binds the source's content and the marker's own place, so that a copy of a marker elsewhere (in an answer that
quotes it, in a file it was written into) is just text. Text that would still be taken for a genuine marker, which only
happens when somebody sets out to, goes under a `Seal`: "as written from here on".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from sidecar.references.numbering import Numbering
from sidecar.references.reading import PLAIN, Form, escape

PREFIX: Final = "[cgw: "
"""Every marker begins with this. Where it is not in a text, nothing is to be expanded."""
NAME_LENGTH: Final = 4
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
OWN: Final = "self"
"""The name of the text that a marker stands in, for lines further up in it."""
CHECK_LENGTH: Final = 5
LONGEST_WORDS: Final = 400
"""Characters between a marker's first words and its code; `reduce` writes far fewer."""

_REFERENCE: Final = re.compile(
    r"\[cgw: (?:same|these) (?P<count>\d{1,7}) lines(?P<words>(?:(?!\[cgw: )[^\n]){0,400}?)"
    r" @(?P<source>[a-z2-7]{4})\.(?P<first>\d{1,7})\.(?P<check>[a-z2-7]{5})"
    r"(?P<crlf>\.c)?(?P<escaped>\.j)?(?:\.n(?P<numbering>[a-z]\d{1,3}z?_\d{1,9}))?"
    r"(?:\.d(?P<base>\d{1,7})_(?P<diff>\d{1,7}))?\]"
)
_SEAL: Final = re.compile(r"\[cgw: as written from here on @(?P<check>[a-z2-7]{5})\]\n")


def digest_of(text: str) -> bytes:
    """What a text is known by."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def name_of(digest: bytes) -> str:
    """The first letters of a digest: enough to look a text up, its content is checked anyway."""
    return _letters(digest, NAME_LENGTH)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a marker stands: behind which of the model's words, and at which character of its own text."""

    anchor: bytes
    """Digest of the last thing that the model said before; empty where it said nothing yet."""
    offset: int


@dataclass(frozen=True, slots=True)
class Patch:
    """The lines are not the source's own but those after a diff."""

    base: int
    """Lines of the source that the diff is against."""
    lines: int
    """Physical lines of the diff, which stand right behind the marker."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A marker as it was found in a text."""

    start: int
    """Offset of its first character."""
    end: int
    """Offset behind its last character, that of the diff where it has one."""
    count: int
    """Lines it stands for."""
    source: str
    """Name of the text they stand in."""
    first: int
    """The first of them there, from 0."""
    check: str
    form: Form
    patch: Patch | None
    diff: str
    written: str
    """The marker and its diff, without the check."""

    def genuine(self, digest: bytes, place: Place) -> bool:
        """Whether it was written for the text with this digest, and for the place it stands at. For a marker that means
        its `OWN` text, the digest is that of the lines."""
        return self.check == check_of(self.written, digest, place)


def check_of(written: str, digest: bytes, place: Place) -> str:
    """The check of a marker, from all of it but the check."""
    keyed = blake2b(digest_size=16, key=digest[:64], person=b"cgw-reference")
    keyed.update(place.anchor + b"\0%d\0" % place.offset)
    keyed.update(written.encode("utf-8", "surrogatepass"))
    return _letters(keyed.digest(), CHECK_LENGTH)


def write_reference(
    words: str,
    *,
    digest: bytes,
    own: bool = False,
    first: int,
    form: Form,
    place: Place,
    patch: Patch | None = None,
    diff: str = "",
) -> str:
    """A marker, with its diff where it has one. `words` begin with `same 45 lines` or `these 45 lines`.

    `digest` is that of the text with the lines; of the lines alone where they stand in the marker's `own` text.
    """
    head = f"{PREFIX}{words} @{OWN if own else name_of(digest)}.{first}."
    tail = _form_code(form) + (f".d{patch.base}_{patch.lines}" if patch is not None else "") + "]"
    if form.escaped:
        head = escape(head)
    if patch is not None:
        tail += "\n" + diff
    return head + check_of(head + tail, digest, place) + tail


def references_in(text: str) -> Iterator[Reference]:
    """Everything in a text that has the shape of a marker, in order and without overlap."""
    end = 0
    for found in _REFERENCE.finditer(text) if PREFIX in text else ():
        if found.start() < end:
            continue
        reference = _read(text, found)
        if reference is not None:
            end = reference.end
            yield reference


def _read(text: str, found: re.Match[str]) -> Reference | None:
    numbering = None
    if found["numbering"] and (numbering := Numbering.parse(found["numbering"])) is None:
        return None
    form = PLAIN
    if found["crlf"] or found["escaped"] or numbering is not None:
        form = Form(bool(found["crlf"]), bool(found["escaped"]), numbering)
    end, patch, diff = found.end(), None, ""
    if found["base"]:
        patch = Patch(int(found["base"]), int(found["diff"]))
        body = _lines_behind(text, end, patch.lines)
        if body is None:
            return None
        diff, end = text[end + 1 : body], body
    check_start, check_end = found.span("check")
    return Reference(
        start=found.start(),
        end=end,
        count=int(found["count"]),
        source=found["source"],
        first=int(found["first"]),
        check=found["check"],
        form=form,
        patch=patch,
        diff=diff,
        written=text[found.start() : check_start] + text[check_end:end],
    )


def _lines_behind(text: str, at: int, lines: int) -> int | None:
    """The end of the `lines` physical lines that begin behind the line end at `at`."""
    for _ in range(lines):
        if at >= len(text) or text[at] != "\n":
            return None
        following = text.find("\n", at + 1)
        at = len(text) if following < 0 else following
    return at


def seal(text: str, anchor: bytes) -> str:
    """The text with a first line that says: nothing below stands for anything else."""
    return f"{PREFIX}as written from here on @{_seal_check(text, anchor)}]\n{text}"


def unseal(text: str, anchor: bytes) -> str | None:
    """What is under the seal; None where there is none that was made for this text and place."""
    found = _SEAL.match(text) if text.startswith(PREFIX) else None
    if found is None:
        return None
    inner = text[found.end() :]
    return inner if found["check"] == _seal_check(inner, anchor) else None


def _seal_check(text: str, anchor: bytes) -> str:
    return check_of("seal", digest_of(text), Place(anchor, 0))


def _form_code(form: Form) -> str:
    numbering = "" if form.numbering is None else f".n{form.numbering}"
    return ("." if form.crlf else "") + ("c" if form.crlf else "") + (".j" if form.escaped else "") + numbering


def _letters(digest: bytes, length: int) -> str:
    """The first letters of it in base 32, at most eight: what `b32encode` says, without all the others."""
    bits = int.from_bytes(digest[:5], "big")
    return "".join([_ALPHABET[(bits >> shift) & 31] for shift in range(35, 35 - 5 * length, -5)])
