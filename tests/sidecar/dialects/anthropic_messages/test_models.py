from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from anthropic.types import ModelInfo

from sidecar.dialects.anthropic_messages import encode_model, encode_models
from sidecar.errors import GatewayError


@dataclass(frozen=True)
class Model:
    id: str
    display_name: str
    created_at: datetime
    line: str | None = "opus"
    lifecycle: str = "active"


OPUS = Model("claude-opus-5-5", "Claude Opus 5.5", datetime(2026, 8, 31, tzinfo=UTC))
ODD = Model("claude-odd", "Odd", datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))), None, "deprecated")


def test_a_model_is_one_that_the_sdk_knows() -> None:
    info = ModelInfo.model_validate(encode_model(ODD))
    assert (info.id, info.line, info.lifecycle, info.created_at) == ("claude-odd", None, "deprecated", ODD.created_at)


def test_times_are_utc() -> None:
    assert encode_model(ODD)["created_at"] == "2025-12-31T23:30:00Z"


def test_the_list_is_one_page_and_says_so() -> None:
    page = encode_models([OPUS, ODD])
    assert [model["id"] for model in page["data"]] == ["claude-opus-5-5", "claude-odd"]
    assert (page["has_more"], page["first_id"], page["last_id"]) == (False, "claude-opus-5-5", "claude-odd")


def test_an_empty_list_has_no_ends() -> None:
    assert encode_models([]) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_pages_are_cut_where_the_client_wants_them() -> None:
    models = [Model(f"claude-{number}", "x", OPUS.created_at) for number in range(5)]

    def page(**asked: Any) -> tuple[list[str], bool]:
        told = encode_models(models, **asked)
        return [model["id"].removeprefix("claude-") for model in told["data"]], told["has_more"]

    assert page(limit=2) == (["0", "1"], True)
    assert page(limit=2, after_id="claude-1") == (["2", "3"], True)
    assert page(limit=2, after_id="claude-3") == (["4"], False)
    assert page(limit=2, before_id="claude-3") == (["1", "2"], True)
    assert page(limit=9) == (["0", "1", "2", "3", "4"], False)
    with pytest.raises(GatewayError, match="after_id"):
        page(after_id="claude-9")
