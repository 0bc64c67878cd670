import asyncio
from pathlib import Path

import pytest

from sidecar.conversation import positions_of
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange
from sidecar.pipeline import Pipeline, load_addon_file, user_addons
from sidecar.prompt import Prompt
from sidecar.user_files import UserFileError
from tests.support.exchanges import an_exchange


class Recorder:
    def __init__(self, name: str, seen: list[str]) -> None:
        self.name = name
        self.seen = seen

    def request(self, exchange: Exchange) -> None:
        self.seen.append(f"{self.name}.request")

    async def response(self, exchange: Exchange) -> None:
        self.seen.append(f"{self.name}.response")


async def test_hooks_run_in_order_whether_they_are_plain_or_async() -> None:
    seen: list[str] = []
    pipeline = Pipeline([Recorder("first", seen), Recorder("second", seen)])
    await pipeline.request(an_exchange())
    await pipeline.response(an_exchange())
    await pipeline.error(an_exchange())
    assert seen == ["first.request", "second.request", "first.response", "second.response"]


async def test_an_addon_that_answers_ends_the_request_phase() -> None:
    seen: list[str] = []

    class Answers:
        def request(self, exchange: Exchange) -> None:
            exchange.answer = {"content": []}

    await Pipeline([Answers(), Recorder("later", seen)]).request(an_exchange())
    assert seen == []


async def test_an_addon_that_raises_is_reported_and_sits_out_while_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[str] = []

    class Broken:
        def request(self, exchange: Exchange) -> None:
            raise RuntimeError("no luck")

        def response(self, exchange: Exchange) -> None:
            seen.append("broken.response")

    pipeline = Pipeline([Broken(), Recorder("other", seen)])
    flow = an_exchange()
    await pipeline.request(flow)
    await pipeline.response(flow)
    assert seen == ["other.request", "other.response"]
    assert "Broken failed in request" in caplog.text
    assert "req_1" in caplog.text


async def test_of_a_layer_that_fails_half_way_only_its_own_changes_are_undone() -> None:
    class First:
        at = 0

        def request(self, exchange: Exchange) -> None:
            assert exchange.prompt is not None
            exchange.prompt.mark(self.at, "5m")

    class Third(First):
        at = 2

    class Breaks:
        def request(self, exchange: Exchange) -> None:
            assert exchange.prompt is not None
            exchange.prompt.mark(1, "5m")
            raise RuntimeError("no luck")

    class BreaksToo(Breaks):
        pass

    flow, said = an_exchange(), {"messages": [{"role": "user", "content": [{"type": "text", "text": "one"}] * 3}]}
    flow.prompt = Prompt("web", positions_of(said) or [])
    await Pipeline([First(), Breaks(), Third(), BreaksToo()]).request(flow)
    assert flow.prompt.marks == {0: "5m", 2: "5m"}


def test_the_pipeline_knows_who_reads_what() -> None:
    class ReadsEvents:
        def response_event(self, exchange: Exchange, event: dict[str, object]) -> None: ...

    assert not Pipeline().reads_answers
    assert Pipeline([Recorder("r", [])]).reads_answers
    assert not Pipeline([Recorder("r", [])]).reads_events
    assert Pipeline([ReadsEvents()]).reads_events


def test_an_addon_file_gives_one_of_each_class_with_a_hook(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("class Mine:\n    def request(self, exchange): pass\nclass Plain: pass\n")
    (addon,) = load_addon_file(path)
    assert type(addon).__name__ == "Mine"


def test_an_addon_file_may_list_its_addons_as_mitmproxy_does(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("class Mine:\n    def request(self, exchange): pass\naddons = [Mine(), Mine()]\n")
    assert len(user_addons([path])) == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "no such file"),
        ("def broken(:\n", "SyntaxError"),
        ("raise ValueError('boom')\n", "boom"),
        ("raise SystemExit(0)\n", "cannot be loaded: SystemExit"),
        (
            "class Mine:\n    request = None\n    def __init__(self): raise SystemExit(0)\n",
            "cannot be loaded: SystemExit",
        ),
        ("class Plain: pass\n", "no class with a hook"),
    ],
)
def test_an_addon_file_that_cannot_be_used_is_named_with_the_reason(
    tmp_path: Path, text: str | None, complaint: str
) -> None:
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserFileError, match=complaint) as failure:
        load_addon_file(path)
    assert str(path) in str(failure.value)


def test_a_file_that_is_no_python_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("hello")
    with pytest.raises(UserFileError, match=r"\.py"):
        load_addon_file(path)


def test_an_addon_may_refuse_a_request() -> None:
    class Refuses:
        def request(self, exchange: Exchange) -> None:
            raise GatewayError("request_too_large", "too long", status=413)

    exchange = an_exchange()
    with pytest.raises(GatewayError, match="too long"):
        asyncio.run(Pipeline([Refuses()]).request(exchange))
    assert not exchange.failed_addons
