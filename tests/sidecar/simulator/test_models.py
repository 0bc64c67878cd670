"""The table of models, and how it is listed."""

import typing
from decimal import Decimal

import pytest
from anthropic.pagination import SyncPage
from anthropic.resources.messages.messages import DEPRECATED_MODELS
from anthropic.types import ModelInfo
from anthropic.types import model as sdk_model

from sidecar.simulator import catalogue
from sidecar.simulator.caching import Reading
from sidecar.simulator.ledger import bill
from sidecar.simulator.models import MODELS, Model, find

SDK_IDS = typing.get_args(typing.get_args(sdk_model.Model)[0])


def known(model_id: str) -> Model:
    model = find(model_id)
    assert model is not None, model_id
    return model


@pytest.mark.parametrize("model_id", SDK_IDS)
def test_every_model_that_the_sdk_names_is_there(model_id: str) -> None:
    assert known(model_id).line in model_id


@pytest.mark.parametrize(
    "model_id", ["claude-sonnet-4-0", "claude-opus-4-0", "claude-opus-4-1", "claude-mythos-preview"]
)
def test_models_past_their_end_are_retired(model_id: str) -> None:
    assert known(model_id).lifecycle == "retired"


def test_a_model_that_the_sdk_warns_of_is_not_active() -> None:
    for model_id in DEPRECATED_MODELS:
        model = find(model_id)
        assert model is None or model.lifecycle != "active", model_id


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_each_row_is_a_model_info_of_the_sdk(model: Model) -> None:
    row = catalogue.model_info(model)
    info = ModelInfo.model_validate(row)
    assert info.to_dict(mode="json", exclude_unset=False).keys() >= row.keys()
    assert info.capabilities is not None
    assert info.capabilities.thinking.types.adaptive.supported == ("adaptive" in model.thinking)
    assert model.thinking_default in model.thinking


BILLS = [
    # model, plain input, read, written for 5 minutes, for an hour, output, dollars
    ("claude-opus-5-5", 1_000, 90_000, 9_000, 0, 1_000, "0.087"),
    ("claude-opus-5-5", 1_000, 90_000, 0, 9_000, 1_000, "0.114"),
    ("claude-haiku-5-5", 100_000, 0, 0, 0, 1_000, "0.0105"),
    ("claude-haiku-5-5", 100_001, 0, 0, 0, 1_000, "0.0525005"),
    ("claude-fable-5-2", 0, 1_000_000, 0, 0, 0, "0.2"),
    ("claude-sonnet-4-5", 1_000_000, 0, 1_000_000, 1_000_000, 1_000_000, "27.75"),
]


@pytest.mark.parametrize(("model_id", "plain", "read", "short", "long", "output", "dollars"), BILLS)
def test_bills_worked_out_by_hand_agree(
    model_id: str, plain: int, read: int, short: int, long: int, output: int, dollars: str
) -> None:
    reading = Reading(plain, read, short, long)
    assert bill(known(model_id), reading, output, speed=None, geo=None) == Decimal(dollars) * 1_000_000


def test_fast_mode_and_a_fixed_place_change_the_price() -> None:
    reading = Reading(1_000, 0, 0, 0)
    assert bill(known("claude-opus-5-5"), reading, 0, speed="fast", geo=None) == 8_000
    assert bill(known("claude-opus-5-5"), reading, 0, speed=None, geo="us") == 4_400
    assert bill(known("claude-haiku-4-5"), reading, 0, speed=None, geo="us") == 1_000


def test_pages_walk_the_whole_list_forwards_and_backwards() -> None:
    listed = [model.id for model in MODELS if model.lifecycle != "retired"]
    seen: list[str] = []
    page = catalogue.page(limit=3)
    while True:
        SyncPage[ModelInfo].model_validate(page)
        seen += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            break
        page = catalogue.page(limit=3, after_id=page["last_id"])
    assert seen == listed
    before = catalogue.page(limit=2, before_id=listed[3])
    assert [row["id"] for row in before["data"]] == listed[1:3]
    assert before["has_more"]


def test_retired_models_are_listed_only_when_asked_for() -> None:
    retired = catalogue.page(limit=1000, lifecycle=["retired"])["data"]
    assert {row["lifecycle"] for row in retired} == {"retired"}
    assert "claude-sonnet-4-20250514" in {row["id"] for row in retired}
    assert all(row["lifecycle"] != "retired" for row in catalogue.page(limit=1000)["data"])
