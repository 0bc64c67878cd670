"""All that is known of one exchange, for a reader: what its client sent, what went upstream, why, and the cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final, cast

import orjson

from sidecar.accounts.prices import Prices
from sidecar.conversation import Edit
from sidecar.errors import GatewayError
from sidecar.exchange import Json, Timing, Usage
from sidecar.feed.kept import KeptEdit, KeptExchange
from sidecar.fold import MessageFold
from sidecar.headers import CREDENTIALS, for_upstream
from sidecar.incoming import fold
from sidecar.sse import EventSplitter

PATHS: Final = {
    "openai_chat": "/v1/chat/completions",
    "openai_completions": "/v1/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
}

SECRET: Final = re.compile(r"\b((?:sk|cgw|pk|ghp|gho|key|xox[a-z])[-_])[\w-]{8,}([\w-]{4})\b")
"""A key by its looks, wherever it stands."""
SECRET_NAMES: Final = re.compile(r"auth|cookie|key|password|secret|token", re.IGNORECASE)

SHORTEST: Final = 12
"""Characters of a secret whose last four tell nobody the rest."""

PUBLIC: Final = "anthropic-ratelimit-"
"""These count tokens of another kind."""

COUNTERS: Final = (
    ("input", "input_tokens"),
    ("cache read", "cache_read_tokens"),
    ("cache write 5m", "cache_write_5m_tokens"),
    ("cache write 1h", "cache_write_1h_tokens"),
    ("output", "output_tokens"),
    ("web search", "web_searches"),
)


def detail(kept: KeptExchange, prices: Prices, upstream_url: str) -> Json:
    """The exchange as JSON values; secrets are masked, bodies are text."""
    row = kept.row
    path, upstream_path = path_of(row), "/v1/messages" + _counting(row)
    posted = b"".join(kept.upstream_body)
    return {
        "row": row,
        "client": {
            "method": "POST",
            "path": f"{path}?{masked_query(kept.query)}" if kept.query else path,
            "headers": masked(kept.client_headers),
            "body": _text(kept.client_body),
        },
        "upstream": {
            "url": upstream_url + upstream_path,
            "headers": masked(for_upstream(kept.client_headers, row["dialect"])),
            "body": _text(posted),
            "same_as_client": posted == kept.client_body,
        },
        "edits": [edit for made in kept.edits for edit in _edits(made, kept, prices)],
        "decisions": [
            {"layer": made.layer, "said": made.said, "numbers": dict(made.numbers)} for made in kept.decisions
        ],
        "notes": [{"field": note.field, "action": note.action, "detail": note.detail} for note in kept.notes],
        "answer": _answer(kept),
        "answer_headers": masked(kept.upstream_headers),
        "timing": list(_timing(kept.timing)),
        "cost": _cost(kept, prices),
    }


def path_of(row: Json) -> str:
    """Where its client sent it."""
    return PATHS[row["dialect"]] + _counting(row)


def _counting(row: Json) -> str:
    return "/count_tokens" if row["kind"] == "count_tokens" else ""


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without anything that opens a door: the last four characters tell two keys apart."""
    return {name: _masked_value(name, value) for name, value in headers.items()}


def masked_query(query: str) -> str:
    """The same for what stands behind a path: `beta=true&key=...x7Qa`."""
    pairs = (pair.partition("=") for pair in query.split("&"))
    return "&".join(f"{name}{sign}{_masked_value(name, value) if sign else value}" for name, sign, value in pairs)


def _masked_value(name: str, value: str) -> str:
    if name in CREDENTIALS or (SECRET_NAMES.search(name) and not name.startswith(PUBLIC)):
        return f"...{value[-4:]}" if len(value) >= SHORTEST else "..."
    return SECRET.sub(r"\1...\2", value)


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _edits(made: KeptEdit, kept: KeptExchange, prices: Prices) -> Iterator[Json]:
    """One for each layer that had a hand in it."""
    before, after = _readable(orjson.loads(made.before)), _after(made.edit)
    saved = made.edit.saved or (("thinking_memory", -made.edit.ahead_size),)
    for layer, size in saved:
        tokens = round(size / kept.bytes_a_token)
        yield {
            "layer": layer,
            "where": made.where,
            "before": before,
            "after": after,
            "removed_tokens": tokens,
            "saved_picos": _worth(tokens, made, kept, prices),
            "new": made.new,
        }


def _after(edit: Edit) -> str:
    blocks = (*edit.ahead, *edit.blocks, *edit.behind)
    return "\n".join(_readable(block) for block in blocks)


def _readable(block: Json) -> str:
    """The text of a block that is one, else its JSON."""
    if block.get("type") == "text" and isinstance(block.get("text"), str):
        return str(block["text"])
    if block.get("type") == "tool_result" and isinstance(block.get("content"), str):
        return str(block["content"])
    return orjson.dumps(block, option=orjson.OPT_INDENT_2).decode()


def _worth(tokens: int, made: KeptEdit, kept: KeptExchange, prices: Prices) -> int | None:
    """Pico-dollars in this request: an old edit saves reading, a new one saves writing."""
    if kept.account is None:
        return None
    usage = kept.usage
    size = abs(tokens)
    if not made.new and usage.cache_read_tokens:
        spared = Usage(cache_read_tokens=size)
    elif usage.cache_write_1h_tokens > usage.cache_write_5m_tokens:
        spared = Usage(cache_write_1h_tokens=size)
    elif usage.cache_write_5m_tokens:
        spared = Usage(cache_write_5m_tokens=size)
    else:
        spared = Usage(input_tokens=size)
    cost = prices.cost(kept.row["model"], spared, kept.started)
    return cost.total if tokens >= 0 else -cost.total


def _answer(kept: KeptExchange) -> Json | None:
    """The whole message, put together where it came in pieces; as far as it came."""
    if kept.answer is not None:
        return cast("Json", orjson.loads(kept.answer))
    if not kept.heard:
        return None
    if kept.heard.lstrip()[:1] == b"{":
        with suppress(orjson.JSONDecodeError):  # broken off
            return cast("Json", orjson.loads(kept.heard))
        return None
    folding = MessageFold()
    with suppress(GatewayError):  # as far as it made sense
        fold(folding, EventSplitter().take(kept.heard) or ())
    return folding.so_far


def _timing(timing: Timing) -> Iterator[Json]:
    """Where the time went, one stretch behind the other, in milliseconds since the request was here."""
    sent = timing.upstream_sent if timing.upstream_sent is not None else timing.joined
    moments = (
        ("cgw, before Claude", timing.received, sent if sent is not None else timing.finished),
        ("waiting for Claude", sent, timing.first_byte or timing.upstream_ended),
        ("Claude's answer", timing.first_byte, timing.upstream_ended),
        ("cgw, after Claude", timing.upstream_ended, timing.finished),
    )
    for name, start, end in moments:
        if start is not None and end is not None and end >= start:
            yield {
                "name": name,
                "start_ms": round((start - timing.received) * 1000, 3),
                "end_ms": round((end - timing.received) * 1000, 3),
            }


def _cost(kept: KeptExchange, prices: Prices) -> Json | None:
    if kept.account is None:
        return None
    model, usage = kept.row["model"], kept.usage
    lines = []
    for what, counter in COUNTERS:
        if tokens := getattr(usage, counter):
            terms = Usage(
                **{counter: tokens},
                speed=usage.speed,
                service_tier=usage.service_tier,
                inference_geo=usage.inference_geo,
            )
            picos = prices.cost(model, terms, kept.started).total
            lines.append({"what": what, "tokens": tokens, "picos_per_token": picos // tokens, "picos": picos})
    return {
        "model": model,
        "lines": lines,
        "total_picos": kept.account.bill,
        "baseline_picos": kept.account.baseline,
        "saved_by": dict(kept.account.savings),
        "estimated": kept.account.estimated,
    }
