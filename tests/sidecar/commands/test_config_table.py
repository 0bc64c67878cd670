"""What `cgw config` and the user guide show of the settings."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from rich.console import Console

from sidecar.commands import config_table
from sidecar.config import Settings
from sidecar.config_sources import load_settings
from sidecar.home import Home

GUIDE = Path(__file__).parents[3] / "docs" / "USER_GUIDE.md"
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->"


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("sk-ant-api03-abcdefgh1234", "sk-...1234"),
        ("cgw-abcdefghijklmnop", "cgw-...mnop"),
        ("averylongpassword", "...word"),
        ("short", "..."),
        ("", "..."),
        ("postgresql://me:s3cret@db.example:5432/cgw", "postgresql://me:...@db.example:5432/cgw"),
        ("redis://:s3cret@cache/0", "redis://:...@cache/0"),
        ("redis://cache/0", "redis://cache/0"),
    ],
)
def test_a_secret_is_masked_so_that_two_can_still_be_told_apart(secret: str, shown: str) -> None:
    assert config_table.masked(secret) == shown


@given(st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="-_"), min_size=12, max_size=60))
def test_never_more_than_the_first_word_and_the_last_four_characters_of_a_key_are_shown(secret: str) -> None:
    shown = config_table.masked(secret)
    assert len(shown) <= len("sk__") + 1 + len("...") + 4
    assert shown.endswith(secret[-4:])


def test_every_setting_has_a_row_with_a_description() -> None:
    rows = list(config_table.rows(load_settings(Home(Path("/nowhere")), environ={})))
    assert [row.field for row in rows] == list(Settings.model_fields)
    assert all(row.description.endswith(".") for row in rows)


def test_the_table_on_the_terminal_shows_values_and_origins(tmp_path: Path) -> None:
    loaded = load_settings(
        Home(tmp_path), {"port": 1}, {"ANTHROPIC_API_KEY": "sk-ant-secret-abcd", "REDIS_URL": "redis://h"}
    )
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(config_table.as_rich_table(loaded))
    lines = {line.split()[0]: line.split()[1:] for line in console.export_text().splitlines() if line.strip()}
    assert lines["ANTHROPIC_API_KEY"] == ["sk-...abcd", "env"]
    assert lines["CGW_PORT"] == ["1", "flag"]
    assert lines["REDIS_URL"] == ["redis://h", "env"]
    assert lines["DEFAULT_MAX_TOKENS"] == ["unset", "default"]
    assert lines["[models]"] == ["empty", "default"]


def test_json_keeps_numbers_and_booleans_and_masks_secrets(tmp_path: Path) -> None:
    loaded = load_settings(Home(tmp_path), environ={"GATEWAY_API_KEY": "cgw-verysecretkey", "CGW_PORT": "7"})
    told = json.loads(json.dumps(config_table.as_json(loaded)))
    assert told["port"] == {"value": 7, "origin": "env"}
    assert told["gateway_api_key"]["value"] == "cgw-...tkey"
    assert told["enable_smart_routing"] == {"value": True, "origin": "default"}
    assert told["default_max_tokens"]["value"] is None


def test_a_password_in_an_address_that_is_no_secret_is_not_shown_either() -> None:
    settings = Settings(upstream_proxy="http://me:s3cret@proxy:8080", anthropic_api_key=SecretStr("x"))
    assert config_table.shown(settings.upstream_proxy) == "http://me:...@proxy:8080"


def test_the_settings_table_of_the_user_guide_is_current() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    table = guide.partition(BEGIN)[2].partition(END)[0]
    assert table == config_table.as_markdown(), "put the output of `cgw config --markdown` between the marks"
