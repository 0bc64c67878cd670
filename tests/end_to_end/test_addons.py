"""A user's own addon file, loaded into a running sidecar."""

from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from sidecar.simulator.answers import Answer, Text, ToolCall
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

HELLO: Any = [{"role": "user", "content": "hello"}]

SEEN = """
from pathlib import Path

class Seen:
    def __init__(self):
        self.log = Path(__file__).with_suffix(".log")

    def say(self, text):
        with self.log.open("a") as log:
            log.write(text + "\\n")

    def request(self, exchange):
        self.say(f"request {exchange.model}")

    async def response_event(self, exchange, event):
        if event["type"] == "message_stop":
            self.say("message_stop")

    def response(self, exchange):
        self.say(f"response {exchange.answer['stop_reason']} {exchange.usage.output_tokens > 0}")

    def error(self, exchange):
        self.say(f"error {exchange.error.status}")
"""

ANSWERS = """
class Answers:
    def request(self, exchange):
        exchange.answer = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": exchange.model,
            "content": [{"type": "text", "text": "from the addon"}],
            "stop_reason": "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 3},
        }
        exchange.cache = "HIT"
"""

BROKEN = """
class Broken:
    def request(self, exchange):
        raise RuntimeError("out of order")
    def response_event(self, exchange, event):
        raise RuntimeError("must not run")
"""

EDITS = '''
class Edits:
    def request(self, exchange):
        exchange.request = {**exchange.request, "system": "Answer in verse."}
        exchange.edited = True
'''  # fmt: skip


def sidecar_with(source: str, folder: Path, simulator: RunningSimulator) -> RunningSidecar:
    path = folder / "mine.py"
    path.write_text(source)
    return RunningSidecar(folder / "home", simulator, addon_files=(path,))


def chat_sdk(gateway: RunningSidecar) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.url, api_key=gateway.key, max_retries=0)


@pytest.mark.parametrize("streamed", [False, True])
def test_an_addon_sees_the_life_of_each_request(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator, streamed: bool
) -> None:
    claude.script(Answer((Text("Hi."), ToolCall("t", {}))))
    with sidecar_with(SEEN, tmp_path, running_simulator) as gateway, chat_sdk(gateway) as sdk:
        tools: Any = [{"type": "function", "function": {"name": "t"}}]
        list(sdk.chat.completions.create(model="sonnet", messages=HELLO, tools=tools, stream=streamed))
        claude.script(Answer("x", error_after=0))
        with pytest.raises(openai.APIStatusError):
            sdk.chat.completions.create(model="sonnet", messages=HELLO)
    assert (tmp_path / "mine.log").read_text().splitlines() == [
        "request claude-sonnet-5-5",
        "message_stop",
        "response tool_use True",
        "request claude-sonnet-5-5",
        "error 529",
    ]


@pytest.mark.parametrize("streamed", [False, True])
def test_an_addon_may_answer_in_claudes_place(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator, streamed: bool
) -> None:
    with sidecar_with(ANSWERS, tmp_path, running_simulator) as gateway:
        with chat_sdk(gateway) as chat:
            raw = chat.chat.completions.with_raw_response.create(model="sonnet", messages=HELLO)
            assert raw.headers["x-cache"] == "HIT"
            with chat.chat.completions.stream(model="sonnet", messages=HELLO) as stream:
                assert stream.get_final_completion().choices[0].message.content == "from the addon"
        with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as native:
            if streamed:
                with native.messages.stream(model="sonnet", max_tokens=9, messages=HELLO) as events:
                    assert events.get_final_text() == "from the addon"
            else:
                answer: Any = native.messages.create(model="sonnet", max_tokens=9, messages=HELLO)
                assert answer.content[0].text == "from the addon"
    assert claude.ledger.messages == []


def test_an_addon_that_fails_never_breaks_the_answer(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    claude.script(Answer("fine"))
    with sidecar_with(BROKEN, tmp_path, running_simulator) as gateway, chat_sdk(gateway) as sdk:
        answer = sdk.chat.completions.create(model="sonnet", messages=HELLO)
    assert answer.choices[0].message.content == "fine"


def test_an_edit_reaches_claude_on_both_routes(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with sidecar_with(EDITS, tmp_path, running_simulator) as gateway:
        with chat_sdk(gateway) as chat:
            chat.chat.completions.create(model="sonnet", messages=HELLO)
        with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as native:
            native.messages.create(model="claude-sonnet-5-5", max_tokens=9, messages=HELLO)
    assert all(b'"system":"Answer in verse."' in row.body for row in claude.ledger.wait(2))
