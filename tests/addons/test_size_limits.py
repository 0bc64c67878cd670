"""The size limits: what is cut, what is only told, and what stays cut."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from addons.size_limits import SizeLimits
from sidecar.cut_texts import CutTexts
from sidecar.cuts import cut_id
from sidecar.errors import GatewayError
from tests.support.exchanges import an_exchange
from tests.support.talks import Talk, assistant, call, result, texts, user

LOG = "".join(f"step {number:05} of the build: fine\n" for number in range(3_000))
ASKED = [user("build it"), assistant(call("t1", "run"))]


LIMITS = {"tool_result_max_chars": 2_000, "user_msg_max_chars": 3_000, "system_max_chars": 1_000}


@pytest.fixture
def with_action(tmp_path: Path) -> Iterator[Callable[[str], Talk]]:
    talks: list[Talk] = []

    def begin(action: str) -> Talk:
        talks.append(Talk(tmp_path, SizeLimits, size_limit_action=action, **LIMITS))
        return talks[-1]

    yield begin
    for talk in talks:
        talk.close()


@pytest.fixture
def talk(with_action: Callable[[str], Talk]) -> Talk:
    return with_action("warn")


def test_a_long_tool_result_is_cut_and_can_be_read_whole(talk: Talk) -> None:
    sent = talk.send({"messages": [*ASKED, user(result("t1", LOG))]})
    short = texts(sent)[-1]
    assert len(short) <= 2_000
    assert f"cgw show {cut_id(LOG)}" in short
    talk.close()
    later = Talk(talk.services.home.path)
    kept = CutTexts(later.services.shelves)
    assert kept.read(cut_id(LOG)) == LOG
    assert [(head.id, head.what, head.characters) for head in kept.recent()] == [
        (cut_id(LOG), "result of run", len(LOG))
    ]
    later.close()


def test_the_client_is_told_what_was_cut(talk: Talk) -> None:
    talk.send({"messages": [*ASKED, user(result("t1", LOG))]})
    assert len(talk.noted) == 1
    assert talk.noted[0].startswith("messages=changed (result of run cut by ")
    assert f"cgw show {cut_id(LOG)}" in talk.noted[0]
    assert len(talk.decided) == 1


def test_under_strict_nothing_is_cut(talk: Talk) -> None:
    sent = talk.send({"messages": [*ASKED, user(result("t1", LOG))]}, client_headers={"x-gateway-strict": "1"})
    assert texts(sent)[-1] == LOG
    assert talk.noted == []


def test_under_a_bypass_nothing_is_cut(talk: Talk) -> None:
    assert texts(talk.send({"messages": [*ASKED, user(result("t1", LOG))]}, bypass=True))[-1] == LOG


def test_what_was_sent_whole_is_not_cut_later(talk: Talk) -> None:
    messages = [*ASKED, user(result("t1", LOG))]
    talk.send({"messages": messages}, bypass=True)
    later = talk.send({"messages": [*messages, assistant("done"), user("thanks")]})
    assert LOG in texts(later)


def test_what_was_cut_stays_cut_in_the_same_way(talk: Talk) -> None:
    messages = [*ASKED, user(result("t1", LOG))]
    first = talk.send({"messages": messages})
    later = talk.send({"messages": [*messages, assistant("done"), user("thanks")]}, bypass=True)
    assert later["messages"][2] == first["messages"][2]


def test_the_parts_of_a_result_share_its_limit_and_pictures_stay(talk: Talk) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    parts = [{"type": "text", "text": "exit code 0"}, picture, {"type": "text", "text": LOG}]
    sent = talk.send({"messages": [*ASKED, user(result("t1", parts))]})
    first, second, third = sent["messages"][2]["content"][0]["content"]
    assert (first, second) == (parts[0], picture)
    assert len(third["text"]) <= 2_000 - len("exit code 0")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"messages": [user(LOG)]}, "messages"),
        ({"messages": [{"role": "user", "content": LOG}]}, "messages"),
        ({"system": LOG, "messages": [user("hi")]}, "system"),
    ],
)  # fmt: skip
def test_long_words_of_a_person_and_system_text_are_told_and_passed_on(
    talk: Talk, request_: dict[str, Any], field: str
) -> None:
    assert talk.send(request_) == request_
    assert talk.noted[0].startswith(f"{field}=ignored (")
    assert f"{len(LOG):,} characters, over" in talk.noted[0]


def test_they_are_cut_where_the_user_chose_so(with_action: Callable[[str], Talk]) -> None:
    talk = with_action("cut")
    sent = talk.send({"system": LOG, "messages": [user(LOG, "short")]})
    assert len(sent["system"][0]["text"]) <= 1_000
    assert len(texts(sent)[0]) <= 3_000
    assert texts(sent)[1] == "short"
    assert f"cgw show {cut_id(LOG)}" in texts(sent)[0]


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        ({"messages": [user(LOG)]}, "USER_MSG_MAX_CHARS"),
        ({"system": LOG, "messages": [user("hi")]}, "SYSTEM_MAX_CHARS"),
    ],
)
def test_they_are_refused_where_the_user_chose_so(
    with_action: Callable[[str], Talk], request_: dict[str, Any], named: str
) -> None:
    talk = with_action("refuse")
    exchange = an_exchange(request=request_)

    async def refused() -> None:
        await talk.memory.request(exchange)
        await talk.layers[0].request(exchange)  # type: ignore[attr-defined]

    with pytest.raises(GatewayError, match=f"characters, over {named}") as raised:
        asyncio.run(refused())
    assert raised.value.status == 413
    assert "SIZE_LIMIT_ACTION" in raised.value.message


def test_a_long_message_of_an_earlier_turn_is_told_once(talk: Talk) -> None:
    talk.send({"messages": [user(LOG)]})
    talk.send({"messages": [user(LOG), assistant("read"), user("thanks")]})
    assert talk.noted == []


def test_texts_within_their_limits_are_the_clients_own(talk: Talk) -> None:
    request = {"system": "s", "messages": [*ASKED, user(result("t1", "fine"))]}
    assert talk.send(request) == request
    assert (talk.noted, talk.decided) == ([], [])
