"""Azure's routes, by the class that OpenAI's SDK has for them: the deployment is the model."""

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from sidecar.simulator.answers import Answer
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def sdk(gateway: RunningSidecar) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        azure_endpoint=gateway.url, api_key=gateway.key, api_version="2026-06-01", max_retries=0
    ) as client:
        yield client


def test_a_deployment_is_answered_by_the_model_of_its_name(sdk: openai.AzureOpenAI, claude: Simulator) -> None:
    claude.script(Answer("Hello there."), Answer("Hello again."))
    answer = sdk.chat.completions.create(model="haiku", messages=HELLO)
    chunks = list(sdk.chat.completions.create(model="haiku", messages=HELLO, stream=True))
    assert answer.choices[0].message.content == "Hello there."
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello again."
    rows = claude.ledger.wait(2)
    assert {row.model.rpartition("-")[0] for row in rows} == {"claude-haiku-5"}
    assert {row.query for row in rows} == {""}


def test_the_deployment_in_the_path_counts_and_not_the_model_in_the_body(
    gateway: RunningSidecar, claude: Simulator
) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=gateway.url, azure_deployment="opus", api_key=gateway.key, api_version="2026-06-01"
    ) as client:
        client.chat.completions.create(model="haiku", messages=HELLO)
    [row] = claude.ledger.wait(1)
    assert row.model.startswith("claude-opus")


@pytest.mark.parametrize("base", ["/openai/v1", "/p/default/openai/v1"])
def test_the_newer_routes_take_the_model_from_the_body(gateway: RunningSidecar, claude: Simulator, base: str) -> None:
    with openai.OpenAI(base_url=gateway.url + base, api_key=gateway.key, max_retries=0) as client:
        assert client.chat.completions.create(model="sonnet", messages=HELLO).choices[0].message.content
        assert "sonnet" in [model.id for model in client.models.list()]
    assert len(claude.ledger.wait(1)) == 1


@pytest.mark.parametrize("base", ["", "/p/default"])
def test_a_deployment_that_names_no_model_is_a_404_that_says_which_do(gateway: RunningSidecar, base: str) -> None:
    with (
        openai.AzureOpenAI(azure_endpoint=gateway.url + base, api_key=gateway.key, api_version="2026-06-01") as client,
        pytest.raises(openai.NotFoundError) as refused,
    ):
        client.chat.completions.create(model="my-team/prod", messages=HELLO)
    assert refused.value.code == "DeploymentNotFound"
    assert "'my-team/prod'" in refused.value.message
    assert "sonnet" in refused.value.message


def test_completions_of_a_deployment(sdk: openai.AzureOpenAI, claude: Simulator) -> None:
    claude.script(Answer("b):"))
    assert sdk.completions.create(model="haiku", prompt="def add(a, ").choices[0].text == "b):"


def test_a_wrong_key_and_embeddings_are_refused_in_the_shape_that_the_sdk_reads(
    gateway: RunningSidecar, sdk: openai.AzureOpenAI
) -> None:
    with pytest.raises(openai.NotFoundError, match="makes no embeddings"):
        sdk.embeddings.create(model="text-embedding-3-small", input="x")
    with (
        openai.AzureOpenAI(azure_endpoint=gateway.url, api_key="wrong", api_version="v", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.chat.completions.create(model="haiku", messages=HELLO)


def test_no_api_version_is_taken_too(gateway: RunningSidecar, claude: Simulator) -> None:
    url = f"{gateway.url}/openai/deployments/sonnet/chat/completions"
    answer = httpx2.post(url, json={"messages": HELLO}, headers={"api-key": gateway.key})
    assert answer.status_code == 200
