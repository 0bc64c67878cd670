"""What happens where the layers' edits cannot be put together."""

import asyncio

import pytest

from sidecar.assembly import Assembly, OwnCopy
from sidecar.bodies import Made
from sidecar.memory import ConversationMemory
from sidecar.models.catalogue import Catalogue
from sidecar.pipeline import Pipeline
from sidecar.prompt import Prompt
from tests.support.exchanges import SONNET, an_exchange


def test_a_request_that_cannot_be_assembled_goes_out_as_it_came_and_nothing_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Prompt, "assemble", broken)
    request = {"messages": [{"role": "user", "content": "hi"}]}
    exchange = an_exchange(request=request)
    asyncio.run(Pipeline([ConversationMemory(), Assembly(Catalogue())]).request(exchange))
    assert exchange.request is request
    assert exchange.prompt is None


def test_what_a_users_addon_writes_into_is_no_other_requests() -> None:
    shared = {"role": "user", "content": [{"type": "text", "text": "task"}]}
    exchange = an_exchange(request={"model": SONNET, "messages": [shared]})
    exchange.made = Made()
    OwnCopy().request(exchange)
    assert exchange.made is None, "nothing of it is written as another request was"
    exchange.request["messages"][0]["content"][0]["text"] = "another"
    assert shared["content"][0]["text"] == "task"
