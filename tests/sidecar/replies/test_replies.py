"""Answers in memory and in a store, with real files underneath."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect
from typing import Any

import orjson
import pytest

from sidecar.dialects.anthropic_messages import stream_of
from sidecar.exchange import Json
from sidecar.home import Home
from sidecar.replies import replies as module
from sidecar.replies.replies import Replies
from sidecar.replies.reply import Reply
from sidecar.replies.summary import described, summary
from sidecar.store.shelves import Shelves

NOW = 1_800_000_000.0
MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 5},
}
EVENTS = b"".join(event.raw for event in stream_of(MESSAGE))


def a_reply(**fields: Any) -> Reply:
    usual: dict[str, Any] = {
        "key": "a1",
        "project": "web",
        "model": "claude-sonnet-5-5",
        "stop_reason": "end_turn",
        "stored_at": NOW,
        "ttl_seconds": 1800,
        "form": "events",
        "payload": EVENTS,
    }
    return Reply(**usual | fields)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.open()
    return home


class Sidecars:
    """Each with a memory of its own, all with one store."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._shelves: list[Shelves] = []

    def one(self) -> Replies:
        self._shelves.append(Shelves(self._home, None))
        return Replies(self._shelves[-1](module.NAMESPACE, 4 * 2**20))

    def close(self) -> None:
        for shelves in self._shelves:
            shelves.close()


@pytest.fixture
def sidecars(home: Home) -> Iterator[Sidecars]:
    sidecars = Sidecars(home)
    yield sidecars
    sidecars.close()


async def text(replies: Replies, key: str = "a1", now: float = NOW, **options: Any) -> str | None:
    found = await replies.find(key, now, **options)
    return found[1]["content"][0]["text"] if found else None


async def test_an_answer_is_there_at_once_and_for_every_other_sidecar_a_moment_later(sidecars: Sidecars) -> None:
    ours, other = sidecars.one(), sidecars.one()
    ours.keep(a_reply())
    assert await text(ours) == "hello"
    assert ours.get("a1") is not None
    assert await text(other) == "hello"
    assert ours.counts == {"hits": 1, "misses": 0, "stored": 1, "corrupt": 0}
    assert await text(other, "b2") is None
    assert other.counts == {"hits": 1, "misses": 1, "stored": 0, "corrupt": 0}


async def test_what_is_too_old_is_not_found(sidecars: Sidecars) -> None:
    replies = sidecars.one()
    replies.keep(a_reply())
    assert await text(replies, now=NOW + 1799)
    assert not await text(replies, now=NOW + 1800)
    assert await text(replies, now=NOW + 30, max_age=30)
    assert not await text(replies, now=NOW + 31, max_age=30)


async def test_a_newer_answer_takes_the_place_of_the_older(sidecars: Sidecars) -> None:
    ours, other = sidecars.one(), sidecars.one()
    ours.keep(a_reply())
    newer = {**MESSAGE, "content": [{"type": "text", "text": "newer"}]}
    ours.keep(a_reply(form="message", payload=orjson.dumps(newer)))
    assert ours.get("a1")
    assert await text(ours) == await text(other) == "newer"


async def test_memory_is_not_believed_for_long(sidecars: Sidecars, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BELIEVED_SECONDS", 0.0)
    ours, other = sidecars.one(), sidecars.one()
    ours.keep(a_reply())
    assert ours.get("a1")
    assert other.clear() == 1
    assert await text(ours) is None


async def test_clearing_forgets_all_or_those_of_one_project_in_memory_too(sidecars: Sidecars) -> None:
    replies = sidecars.one()
    for key, project in (("a1", "web"), ("b2", "app"), ("c3", "app")):
        replies.keep(a_reply(key=key, project=project))
    assert replies.clear("app") == 2
    assert [await text(replies, key) for key in ("a1", "b2", "c3")] == ["hello", None, None]
    assert replies.clear() == 1
    assert await text(replies) is None
    assert replies.clear() == 0


async def test_a_long_answer_is_put_together_beside_the_loop_and_one_that_is_too_long_not_kept(
    sidecars: Sidecars, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = sidecars.one()
    monkeypatch.setattr(module, "ON_THE_LOOP", 10)
    replies.keep(a_reply())
    assert await text(replies) == "hello"
    monkeypatch.setattr(module, "LARGEST_BYTES", 10)
    replies.keep(a_reply(key="b2"))
    assert await text(replies, "b2") is None


@pytest.mark.parametrize("value", [b"", b"cgw-reply 1\n", b"{}", b"\x80\x04N."], ids=repr)
async def test_damage_is_a_miss_and_gone_and_counted(sidecars: Sidecars, home: Home, value: bytes) -> None:
    ours = sidecars.one()
    for key in ("a1", "b2"):
        ours.keep(a_reply(key=key))
    assert ours.get("a1")
    with closing(connect(home.cache_dir / "replies" / "cache.db", isolation_level=None)) as database:
        database.execute("UPDATE Cache SET value = ? WHERE key = 'a1'", (value,))
    other = sidecars.one()
    assert await text(other) is None
    assert await text(other, "b2") == "hello"
    assert other.counts["corrupt"] == 1
    assert [reply.key for reply in other.all()] == ["b2"]
    assert other.counts["corrupt"] == 1, "it is gone, so it is not found damaged again"


async def test_an_answer_that_makes_no_message_is_damage_too(sidecars: Sidecars) -> None:
    replies = sidecars.one()
    replies.keep(a_reply(payload=b"event: message_stop\ndata: {}\n\n"))
    assert await text(replies) is None
    assert replies.counts["corrupt"] == 1
    assert replies.get("a1") is None


def test_the_summary_counts_what_is_still_fresh_by_project() -> None:
    old, new, stale = a_reply(), a_reply(stored_at=NOW + 60, project="app"), a_reply(ttl_seconds=10)
    assert summary([old, new, stale], NOW + 100) == {
        "entries": 2,
        "bytes": 2 * len(EVENTS),
        "oldest_seconds": 100,
        "newest_seconds": 40,
        "projects": {"app": {"entries": 1, "bytes": len(EVENTS)}, "web": {"entries": 1, "bytes": len(EVENTS)}},
    }
    assert summary([], NOW)["oldest_seconds"] is None
    assert described(replace(new, key="b2"), NOW + 100) == {
        "key": "b2",
        "project": "app",
        "model": "claude-sonnet-5-5",
        "stop_reason": "end_turn",
        "bytes": len(EVENTS),
        "age_seconds": 40,
        "expires_in_seconds": 1760,
    }
