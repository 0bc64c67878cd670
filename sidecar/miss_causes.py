"""Why Claude's prompt cache did not hold what the request before had put there. Pure.

What a request should find is known when it is sent (`expected`); what it found is known from returned usage, and only
then is anything compared (`cause_of`), so that a request whose cache held pays nothing. Tokens are Claude's own counts.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from sidecar.conversation import LIFETIME_SECONDS, Accepted, Line, Position, Sent, texts_of
from sidecar.exchange import FALLBACK, Exchange, Json, MissCause

if TYPE_CHECKING:
    from sidecar.prompt import Prompt

NEARLY_ALL: Final = 0.8
"""A cache that held so much of what was expected did hold."""
SMALLEST: Final = 512
"""Tokens: less is not cached by any model."""
LOOKBACK_BLOCKS: Final = 20
"""How far before a marker Claude looks for what is in its cache (docs: prompt caching, lookback window)."""
TERMS: Final = ("tool_choice", "thinking", "output_config", "speed")
"""Fields beside the prompt that decide whether a cached prefix fits."""
BEFORE_CHANGE: Final = 12
QUOTED: Final = 44
LONGEST_TERM: Final = 60
LONGEST_WORD: Final = 400
READ_AHEAD: Final = 4_000
"""Characters of a line that are searched for secrets before its beginning is quoted."""
_SECRET: Final = re.compile(r"(?<![\w+/=-])(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[\w+/=-]{20,}|\bsk-[\w-]+")


class Expected(NamedTuple):
    """What the cache holds for a request, if nothing is in the way."""

    line: Line
    """As the conversation went upstream before; its first `last.until` positions do not change any more."""
    last: Accepted
    """The request that this one goes on from."""
    terms: Mapping[str, str] | None
    """What that one asked for beside its prompt; None where this is not known."""

    @property
    def tokens(self) -> int:
        return self.last.read + self.last.written_5m + self.last.written_1h


def expected(prompt: Prompt, candidates: Iterable[Line]) -> Expected | None:
    """Of the lines that have answers of Claude's in common with the prompt, the one that it goes on from. None for a
    conversation that has just begun, and where nothing of it was put into a cache."""
    line = prompt.line
    if line is not None and prompt.frozen == len(line.sent):
        return _expected(line, line.requests[-1] if line.requests else None)
    answers = {at.digest for at in prompt.positions if at.role == "assistant"}
    if not answers:
        return None
    shared = [(at, one.last_used, one) for one in candidates if (at := _last_shared(one, answers)) is not None]
    if not shared:
        return None
    at, _, line = max(shared, key=lambda one: one[:2])
    return _expected(line, _request_before(line, at, prompt))


def _expected(line: Line, last: Accepted | None) -> Expected | None:
    if last is None or not last.read + last.written_5m + last.written_1h:
        return None
    return Expected(line, last, line.terms if last is line.requests[-1] else None)


def _last_shared(line: Line, answers: set[bytes]) -> int | None:
    """The last position of the line that is one of these answers."""
    return next((at for at in range(len(line.sent) - 1, -1, -1) if line.sent[at].digest in answers), None)


def _request_before(line: Line, shared: int, prompt: Prompt) -> Accepted | None:
    """The newest request whose answer the prompt has. Behind the last answer that the line knows there is one more,
    which it knows only once it was sent back: a prompt that is longer has it."""
    last_answer = next((at for at in range(len(line.sent) - 1, -1, -1) if line.sent[at].role == "assistant"), -1)
    if shared == last_answer and len(prompt.positions) > len(line.sent):
        return line.requests[-1] if line.requests else None
    index = bisect_right(line.requests, shared, key=lambda one: one.until)
    return line.requests[index - 1] if index else None


def terms_of(request: Json) -> dict[str, str]:
    """What a request asks for beside its prompt, each as short text."""
    return {
        name: orjson.dumps(request[name]).decode()[:LONGEST_TERM] for name in TERMS if request.get(name) is not None
    }


def cause_of(exchange: Exchange, prompt: Prompt) -> MissCause | None:
    """None where the cache held, or nothing was expected of it. The cost is left to those who know the prices."""
    before, usage = prompt.expected, exchange.usage
    if before is None:
        return None
    would = min(before.tokens, usage.prompt_tokens)
    missed = would - usage.cache_read_tokens
    if would < SMALLEST or usage.cache_read_tokens >= NEARLY_ALL * would:
        return None
    ours, said = _why(exchange, prompt, before)
    return MissCause(ours, said, missed, 0)


def _why(exchange: Exchange, prompt: Prompt, before: Expected) -> tuple[bool, str]:
    """Whether the gateway caused it, and the cause. What nobody could have helped is asked first."""
    line, last = before.line, before.last
    if last.model != exchange.model:
        ours = exchange.route is not None or exchange.route_reason == FALLBACK
        return ours, f"the model changed from {last.model} to {exchange.model}"
    if (pause := _expired(exchange, before)) is not None:
        return False, pause
    if prompt.thinking_refused:
        return True, "Claude refused thinking that had been put back, so the conversation went without from then on"
    mended = prompt.line is line and prompt.frozen >= last.until
    if not mended and (said := _changed(line, last.until, prompt)) is not None:
        return False, said
    if prompt.thawed:
        return True, "what had been sent before was shortened anew"
    now = terms_of(exchange.request)
    if before.terms is not None and now != before.terms:
        name = next(name for name in TERMS if now.get(name) != before.terms.get(name))
        was, is_now = before.terms.get(name, "unset"), now.get(name, "unset")
        return False, f"`{name}` changed from {_safe(was)} to {_safe(is_now)}"
    marks = {**prompt.client_marks, **prompt.marks}
    if not marks and not isinstance(exchange.request.get("cache_control"), dict):
        return False, "the request has no cache marker: caching is off for it"
    if marks and (blocks := _too_far(marks, last.marks)) is not None:
        return not prompt.client_marks, f"{blocks} blocks came since the last cache marker; Claude looks back over 20"
    if exchange.cache_miss:
        return False, f"Claude says {_safe(str(exchange.cache_miss.get('type')))}"
    return False, "unknown: nothing changed, and its lifetime had not run out"


def _expired(exchange: Exchange, before: Expected) -> str | None:
    """A pause that outlasted what was cached, unless it was kept warm meanwhile."""
    age = exchange.now - before.last.now
    lifetimes = {LIFETIME_SECONDS.get(ttl, 300.0) for ttl in before.last.marks.values()} or {300.0}
    outlasted = [seconds for seconds in lifetimes if age >= seconds]
    if not outlasted or exchange.now < before.line.warm_until:
        return None
    return f"a pause of {_duration(age)}: it was cached for {_duration(max(outlasted))}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 2880 else f"{minutes // 1440} days"


def _too_far(marks: Mapping[int, str], before: Mapping[int, str]) -> int | None:
    """How many blocks lie between the markers, where that is more than Claude looks back."""
    distances = [now - then for now in marks for then in before if now >= then]
    if not distances or min(distances) <= LOOKBACK_BLOCKS:
        return None
    return min(distances)


# --- what the client changed


def _changed(line: Line, until: int, prompt: Prompt) -> str | None:
    """The first of so many positions that the client writes otherwise than before; None where it does not."""
    sent, now = line.sent[:until], prompt.positions
    tools = [one for one in sent if one.zone == "tools"]
    tools_now = [at for at in now if at.zone == "tools"]
    if [one.digest for one in tools] != [at.digest for at in tools_now]:
        return _tools_changed(tools, tools_now)
    count = len(tools)
    system = [one for one in sent[count:] if one.zone == "system"]
    system_now = [at for at in now[count:] if at.zone == "system"]
    if [one.digest for one in system] != [at.digest for at in system_now]:
        return _system_changed(system, system_now)
    same = next((at for at, (one, other) in enumerate(zip(sent, now, strict=False)) if one.digest != other.digest), -1)
    if same < 0:
        same = min(len(sent), len(now))
    if same >= len(sent):
        return None
    number = now[same].message + 1 if same < len(now) else len(now)
    if same >= len(now) or now[same].digest in {one.digest for one in line.sent[same + 1 :]}:
        return f"the conversation was shortened from message {number} on"
    role = "an answer" if sent[same].role == "assistant" else "a message"
    told = f"{role} from earlier (message {number}) changed"
    if not sent[same].raw:
        return told
    old, new = _text(orjson.loads(sent[same].raw)), _text(now[same].block)
    return f"{told} at character {_at(old, new):,}: {_quoted(old, new)}" if old != new else told


def _tools_changed(sent: Sequence[Sent], now: Sequence[Position]) -> str:
    old = {_name(orjson.loads(one.raw)) if one.raw else "": one.digest for one in sent}
    new = {_name(at.block): at.digest for at in now}
    for word, names in (("added", new.keys() - old.keys()), ("removed", old.keys() - new.keys())):
        if names:
            return f"tool definitions were {word}: {_listed(names)}"
    if changed := {name for name in new if new[name] != old[name]}:
        return f"tool definitions changed: {_listed(changed)}"
    return "tool definitions came in another order"


def _name(tool: Json) -> str:
    return str(tool.get("name") or tool.get("type") or "")


def _listed(names: Iterable[str]) -> str:
    first, *rest = sorted(names)
    return f"{_safe(first)}" + (f" and {len(rest)} more" if rest else "")


def _system_changed(sent: Sequence[Sent], now: Sequence[Position]) -> str:
    old = "".join(_text(orjson.loads(one.raw)) if one.raw else "" for one in sent)
    new = "".join(_text(at.block) for at in now)
    if not sent or not now:
        return f"the system prompt was {'removed' if sent else 'added'}"
    if old == new or not all(one.raw for one in sent):
        return "the system prompt changed"
    return f"the system prompt changed at character {_at(old, new):,}: {_quoted(old, new)}"


def _text(block: Json) -> str:
    texts = texts_of(block)
    return "\n".join(texts) if texts else orjson.dumps(block).decode()


def _at(old: str, new: str) -> int:
    """The first character that differs, counted from one."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[:middle] == new[:middle]:
            low = middle
        else:
            high = middle - 1
    return low + 1


def _quoted(old: str, new: str) -> str:
    """The new words around the first difference; the old ones where the new text is only shorter."""
    at = _at(old, new) - 1
    text = new if at < len(new) else old
    start = max(text.rfind("\n", 0, at) + 1, at - LONGEST_WORD)
    line_end = text.find("\n", at)
    word = at
    while word > start and not text[word - 1].isspace():  # at its beginning, so that no secret is shown by halves
        word -= 1
    lead = _safe(text[start:word])[-BEFORE_CHANGE:]
    end = word + LONGEST_WORD if line_end <= at else min(line_end, word + READ_AHEAD)
    return f"`{lead}{_safe(text[word:end])[:QUOTED]}`"


def _safe(text: str) -> str:
    """On one line, without control characters and without what looks like a secret."""
    return "".join(char if char.isprintable() else "?" for char in _SECRET.sub("...", text))
