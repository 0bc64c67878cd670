"""Which Claude a name means, and what the table says of each model."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from anthropic.resources.messages.messages import DEPRECATED_MODELS
from anthropic.types import ModelInfo, ModelLine
from anthropic.types.model import Model as SdkModel
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import GatewayError
from sidecar.models.catalogue import EFFORTS, LINES, Catalogue, ModelCard
from sidecar.simulator.catalogue import model_info
from sidecar.simulator.models import MODELS as SIMULATED

SDK_IDS = list(get_args(get_args(SdkModel)[0]))


def info(model_id: str, **said: Any) -> dict[str, Any]:
    """A row of Anthropic's list."""
    return {
        "type": "model",
        "id": model_id,
        "display_name": model_id,
        "created_at": "2027-01-15T00:00:00Z",
        "lifecycle": "active",
        "line": "opus",
        "deprecated_at": None,
        "retires_at": None,
        "max_input_tokens": 2_000_000,
        "max_tokens": 256_000,
        "capabilities": None,
    } | said


def names(catalogue: Catalogue) -> list[str]:
    return [card.id for card in catalogue.listed()]


class TestTheTable:
    @pytest.mark.parametrize("model_id", SDK_IDS)
    def test_has_every_id_that_the_sdk_knows(self, model_id: str):
        resolution = Catalogue().resolve(model_id)
        assert resolution.reason == ("retired" if model_id == "claude-mythos-preview" else "exact")

    @pytest.mark.parametrize("model_id", sorted(DEPRECATED_MODELS))
    def test_knows_what_became_of_every_model_that_the_sdk_calls_deprecated(self, model_id: str):
        resolution = Catalogue().resolve(model_id)
        today = datetime(2026, 11, 22, tzinfo=UTC)
        words = (
            DEPRECATED_MODELS[model_id].replace("th,", ",").replace("st,", ",").replace("nd,", ",").replace("rd,", ",")
        )
        ended = datetime.strptime(words, "%B %d, %Y").replace(tzinfo=UTC)
        if ended > today:
            assert resolution.reason == "exact"
            assert (resolution.card.lifecycle, resolution.card.retires_at) == ("deprecated", ended)
        else:
            assert resolution.reason == "retired"
            assert resolution.card.lifecycle == "active"
            assert model_id in (resolution.note or "")
            assert str(ended.date()) in (resolution.note or "")

    def test_has_the_lines_of_the_sdk(self):
        assert get_args(ModelLine) == LINES

    @pytest.mark.parametrize("row", SIMULATED, ids=lambda row: row.id)
    def test_agrees_with_the_simulator_which_was_written_apart(self, row):
        card = Catalogue()._cards[row.id]
        assert (card.line, card.lifecycle) == (row.line, row.lifecycle)
        if row.lifecycle == "retired":
            return
        assert (card.max_input_tokens, card.max_tokens) == (row.max_input_tokens, row.max_tokens)
        assert card.thinking == row.thinking
        assert card.efforts == tuple(row.efforts)
        assert card.takes_sampling == row.takes_sampling
        assert card.takes_prefill == row.takes_prefill
        assert card.takes_forced_tool_choice == row.takes_forced_tools
        assert card.takes_mid_system == row.takes_system_messages
        assert card.min_cacheable == row.min_cacheable

    def test_gives_every_living_model_limits_and_known_words(self):
        for card in Catalogue().listed():
            assert card.max_tokens
            assert card.max_input_tokens
            assert card.thinking <= {"adaptive", "between_tools", "disabled", "enabled"}
            assert set(card.efforts) <= set(EFFORTS)


NAMES = {
    "claude-opus-5-5": ("claude-opus-5-5", "exact", None),
    "claude-opus-4-5": ("claude-opus-4-5", "exact", None),
    "claude-opus-4-5-20251101": ("claude-opus-4-5-20251101", "exact", None),
    "haiku": ("claude-haiku-5-5", "alias", None),
    "sonnet": ("claude-sonnet-5-5", "alias", None),
    "opus": ("claude-opus-5-5", "alias", None),
    "fable": ("claude-fable-5-2", "alias", None),
    "auto": ("claude-sonnet-5-5", "alias", None),
    "Opus": ("claude-opus-5-5", "alias", None),
    " sonnet ": ("claude-sonnet-5-5", "alias", None),
    "cgw:opus": ("claude-opus-5-5", "alias", None),
    "cgw-opus": ("claude-opus-5-5", "alias", None),
    "cgw-auto": ("claude-sonnet-5-5", "alias", None),
    "openai/cgw-auto": ("claude-sonnet-5-5", "alias", None),
    "anthropic:sonnet": ("claude-sonnet-5-5", "alias", None),
    "anthropic/claude-opus-5-5": ("claude-opus-5-5", "alias", None),
    "openai/claude-sonnet-5": ("claude-sonnet-5", "alias", None),
    "openrouter/anthropic/claude-sonnet-4.6": ("claude-sonnet-4-6", "alias", None),
    "claude-opus-latest": ("claude-opus-5-5", "alias", None),
    "claude-haiku": ("claude-haiku-5-5", "alias", None),
    "claude-opus-4.5": ("claude-opus-4-5", "alias", None),
    "claude-4.5-haiku": ("claude-haiku-4-5", "alias", None),
    "claude-opus-4-6[1m]": ("claude-opus-4-6", "alias", None),
    "claude-opus-5-5-fast": ("claude-opus-5-5", "alias", None),
    "claude-opus-5-5-thinking": ("claude-opus-5-5", "alias", "high"),
    "claude-opus-5-5-thinking-max": ("claude-opus-5-5", "alias", "max"),
    "claude-opus-5-5-thinking-low-fast": ("claude-opus-5-5", "alias", "low"),
    "cgw:sonnet-thinking-xhigh": ("claude-sonnet-5-5", "alias", "xhigh"),
    "claude-4.6-opus-high-thinking": ("claude-opus-4-6", "alias", "high"),
    "claude-opus-5-5-20260922": ("claude-opus-5-5-20260922", "dated", None),
    "claude-sonnet-4-0": ("claude-sonnet-5-5", "retired", None),
    "claude-4-sonnet": ("claude-sonnet-5-5", "retired", None),
    "claude-3-5-haiku-latest": ("claude-haiku-5-5", "retired", None),
    "claude-3.7-sonnet": ("claude-sonnet-5-5", "retired", None),
    "claude-3-opus-20240229": ("claude-opus-5-5", "retired", None),
    "claude-opus-4-1": ("claude-opus-5-5", "retired", None),
    "anthropic/claude-opus-4-1-20250805": ("claude-opus-5-5", "retired", None),
    "claude-2.1": ("claude-sonnet-5-5", "retired", None),
    "gpt-4o": ("claude-sonnet-5-5", "mapped", None),
    "openai/gpt-4o": ("claude-sonnet-5-5", "mapped", None),
    "gpt-4o-2024-11-20": ("claude-sonnet-5-5", "mapped", None),
    "gpt-4o-mini": ("claude-haiku-5-5", "mapped", None),
    "gpt-4.1": ("claude-sonnet-5-5", "mapped", None),
    "gpt-4.1-nano": ("claude-haiku-5-5", "mapped", None),
    "gpt-5": ("claude-sonnet-5-5", "mapped", None),
    "gpt-5-high": ("claude-sonnet-5-5", "mapped", "high"),
    "gpt-5-mini": ("claude-haiku-5-5", "mapped", None),
    "gpt-5.2-pro": ("claude-opus-5-5", "mapped", None),
    "gpt-5.1-codex-max": ("claude-sonnet-5-5", "mapped", None),
    "gpt-3.5-turbo": ("claude-haiku-5-5", "mapped", None),
    "o3": ("claude-sonnet-5-5", "mapped", None),
    "o4-mini": ("claude-sonnet-5-5", "mapped", None),
    "claude-opus-6": ("claude-opus-6", "unknown", None),
    "anthropic/claude-opus-6": ("claude-opus-6", "unknown", None),
}


class TestANameClientsSend:
    @pytest.mark.parametrize("asked", NAMES)
    def test_means_the_model_it_should(self, asked: str):
        found = Catalogue().resolve(asked)
        assert (found.card.id, found.reason, found.effort_hint) == NAMES[asked]
        assert found.asked == asked

    @pytest.mark.parametrize("asked", ["claude-sonnet-4-0", "gpt-4o", "cgw:claude-3-5-haiku-latest"])
    def test_that_another_model_answers_to_is_explained_in_a_sentence(self, asked: str):
        found = Catalogue().resolve(asked)
        assert found.card.id in (found.note or "")

    def test_that_asks_for_fast_mode_is_told_that_it_is_left_off(self):
        assert "twice" in (Catalogue().resolve("opus-fast").note or "")

    @pytest.mark.parametrize(
        "asked", ["llama-3", "text-embedding-3-small", "claude", "mythos", "", "anthropic/", "-fast"]
    )
    def test_that_nobody_knows_is_a_404_that_lists_what_there_is(self, asked: str):
        with pytest.raises(GatewayError) as caught:
            Catalogue().resolve(asked)
        error = caught.value
        assert (error.status, error.kind, error.code, error.param) == (
            404,
            "not_found_error",
            "model_not_found",
            "model",
        )
        for offered in ("sonnet", "auto", "claude-opus-5-5"):
            assert offered in error.message

    def test_of_a_model_newer_than_the_table_passes_on_with_cautious_guesses(self):
        card = Catalogue().resolve("claude-opus-6").card
        assert (card.line, card.max_tokens, card.thinking) == ("opus", 128_000, {"adaptive"})
        taken = (card.takes_sampling, card.takes_prefill, card.takes_forced_tool_choice, card.takes_mid_system)
        assert not any(taken)

    @given(
        st.text(max_size=20)
        | st.from_regex(r"(cgw[:-]|anthropic/)?[a-z0-9.-]{1,20}(-fast|-thinking-high)?", fullmatch=True)
    )
    def test_always_means_a_model_or_is_a_404(self, asked: str):
        try:
            card = Catalogue().resolve(asked).card
        except GatewayError as error:
            if error.status != 404:
                raise
        else:
            assert card.id.startswith("claude-")
            assert card.lifecycle != "retired"

    @given(
        st.sampled_from(sorted(NAMES)),
        st.sampled_from(["", "cgw:", "anthropic/", "openai/", "openrouter/anthropic/"]),
        st.sampled_from(["", "-fast", "-thinking-low", "-thinking-max-fast"]),
    )
    def test_means_the_same_behind_a_prefix_and_before_a_suffix(self, asked: str, prefix: str, suffix: str):
        plain = Catalogue().resolve(asked)
        dressed = Catalogue().resolve(f"{prefix}{asked.strip()}{suffix}")
        assert dressed.card.id.removesuffix(suffix) == plain.card.id
        assert (
            (dressed.reason == "alias")
            if plain.reason == "exact" and prefix + suffix
            else dressed.reason == plain.reason
        )


class TestTheUsersOwnTable:
    def test_comes_before_ours(self):
        found = Catalogue({"gpt-4o": "opus"}).resolve("gpt-4o")
        assert (found.card.id, found.reason) == ("claude-opus-5-5", "mapped")

    def test_may_use_patterns_and_letters_of_any_size(self):
        assert Catalogue({"GPT-*": "fable"}).resolve("gpt-4.1").card.id == "claude-fable-5-2"

    def test_may_name_what_nobody_else_knows(self):
        assert Catalogue({"llama-3": "haiku"}).resolve("openai/llama-3").card.id == "claude-haiku-5-5"

    def test_may_pin_an_alias_to_one_model(self):
        catalogue = Catalogue({"opus": "claude-opus-4-8", "gpt-5": "opus"})
        assert catalogue.resolve("cgw:opus").card.id == "claude-opus-4-8"
        assert catalogue.resolve("gpt-5").card.id == "claude-opus-4-8"
        assert catalogue.aliases["opus"] == "claude-opus-4-8"

    def test_may_carry_an_effort(self):
        found = Catalogue({"deep": "opus-thinking-max"}).resolve("deep")
        assert (found.card.id, found.effort_hint) == ("claude-opus-5-5", "max")

    def test_may_lead_to_a_retired_model_whose_successor_answers(self):
        found = Catalogue({"old": "claude-sonnet-4-0"}).resolve("old")
        assert found.card.id == "claude-sonnet-5-5"
        assert "retired" in (found.note or "")

    def test_may_go_in_circles_without_end_or_harm(self):
        assert Catalogue({"opus": "opus"}).resolve("opus").card.id == "claude-opus-5-5"
        with pytest.raises(GatewayError):
            Catalogue({"a": "b", "b": "a"}).resolve("a")

    def test_that_names_no_model_is_a_404_when_used(self):
        with pytest.raises(GatewayError, match="There is no model 'gpt-4x'"):
            Catalogue({"gpt-4x": "opsu"}).resolve("gpt-4x")


class TestTheModelList:
    def test_shows_aliases_first_and_then_real_models_newest_first(self):
        listed = Catalogue().listed()
        aliases, real = listed[:7], listed[7:]
        assert [card.id for card in aliases] == ["auto", "auto:fast", "auto:best", "haiku", "sonnet", "opus", "fable"]
        assert all(card.id.startswith("claude-") and card.lifecycle != "retired" for card in real)
        assert real == sorted(real, key=lambda card: card.created_at, reverse=True)
        assert len({card.id for card in listed}) == len(listed)

    @pytest.mark.parametrize("asked", ["sonnet", "claude-opus-5-5", "gpt-4o", "claude-sonnet-4-0"])
    def test_shows_a_single_model_under_the_name_that_was_asked_for(self, asked: str):
        assert Catalogue().shown(asked).id == asked

    @pytest.mark.parametrize("asked", ["llama-3", "claude-opus-6"])
    def test_does_not_show_what_nobody_knows(self, asked: str):
        with pytest.raises(GatewayError):
            Catalogue().shown(asked)

    def test_never_leads_an_alias_to_mythos(self):
        catalogue = Catalogue()
        catalogue.update([info("claude-mythos-9", line="mythos"), info("claude-opus-5-5")])
        assert all("mythos" not in target for target in catalogue.aliases.values())


class TestAnthropicsOwnList:
    def test_says_nothing_new_when_it_is_the_simulators(self):
        before = Catalogue()
        after = Catalogue()
        after.update([model_info(row) for row in SIMULATED])
        assert after.aliases == before.aliases
        assert sorted(names(after)) == sorted(names(before))
        for row in SIMULATED:
            if row.lifecycle != "retired":
                assert _facts(after.card(row.id)) == _facts(before.card(row.id))

    def test_moves_an_alias_to_the_lines_newest_active_model(self):
        catalogue = Catalogue()
        catalogue.update([info("claude-opus-6"), info("claude-opus-5-5", created_at="2026-09-22T00:00:00Z")])
        assert catalogue.resolve("opus").card.id == "claude-opus-6"
        assert catalogue.resolve("claude-opus-6").reason == "exact"
        assert catalogue.resolve("claude-opus-4-1").card.id == "claude-opus-6"

    def test_takes_the_line_from_the_list_and_not_from_the_id(self):
        catalogue = Catalogue()
        catalogue.update([info("claude-octave-1", line="opus"), info("claude-sonnet-9", line="haiku")])
        assert catalogue.resolve("opus").card.id == "claude-octave-1"
        assert catalogue.resolve("haiku").card.id == "claude-sonnet-9"

    def test_wins_over_the_table_where_it_says_something(self):
        catalogue = Catalogue()
        support = {
            name: {"supported": name == "adaptive"} for name in ("adaptive", "between_tools", "disabled", "enabled")
        }
        catalogue.update(
            [
                info(
                    "claude-sonnet-5-5",
                    line="sonnet",
                    max_tokens=200_000,
                    lifecycle="deprecated",
                    deprecated_at="2027-01-01T00:00:00Z",
                    retires_at="2027-06-01T00:00:00Z",
                    capabilities={
                        "thinking": {"supported": True, "types": support},
                        "effort": {
                            "supported": True,
                            "low": {"supported": True},
                            "max": {"supported": True},
                            "xhigh": None,
                        },
                        "image_input": {"supported": False},
                        "something_new": {"supported": True},
                    },
                )
            ]
        )
        card = catalogue.card("claude-sonnet-5-5")
        assert (card.max_tokens, card.lifecycle, card.thinking) == (200_000, "deprecated", {"adaptive"})
        assert (card.efforts, card.image_input, card.pdf_input) == (("low", "max"), False, True)
        assert card.retires_at == datetime(2027, 6, 1, tzinfo=UTC)
        assert not card.takes_forced_tool_choice

    def test_retires_a_model_that_the_table_still_has(self):
        catalogue = Catalogue()
        catalogue.update(
            [
                info(
                    "claude-sonnet-4-5-20250929", line="sonnet", lifecycle="retired", created_at="2025-09-29T00:00:00Z"
                ),
                info("claude-sonnet-5-5", line="sonnet"),
            ]
        )
        for asked in ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"):
            assert catalogue.resolve(asked).reason == "retired"
            assert asked not in names(catalogue)

    def test_answers_for_a_retired_model_even_where_it_says_that_it_has_no_line(self):
        catalogue = Catalogue()
        catalogue.update(
            [
                info("claude-3-7-sonnet-20250219", line=None, lifecycle="retired"),
                info("claude-sonnet-5-5", line="sonnet"),
            ]
        )
        assert catalogue.resolve("claude-3-7-sonnet-20250219").card.id == "claude-sonnet-5-5"

    def test_keeps_what_only_the_table_knows_of_retired_models(self):
        catalogue = Catalogue()
        catalogue.update([info("claude-sonnet-5-5", line="sonnet")])
        assert catalogue.resolve("claude-sonnet-4-0").reason == "retired"

    def test_takes_out_of_the_offer_what_the_key_may_not_use(self):
        catalogue = Catalogue()
        catalogue.update([info("claude-sonnet-5-5", line="sonnet")])
        assert names(catalogue) == ["auto", "sonnet", "claude-sonnet-5-5"]
        with pytest.raises(GatewayError, match="Available are: auto, sonnet, claude-sonnet-5-5"):
            catalogue.resolve("fable")
        with pytest.raises(LookupError):
            catalogue.newest("fable")
        # The API has the last word on an id that someone writes out.
        assert catalogue.resolve("claude-fable-5-2").card.id == "claude-fable-5-2"

    def test_falls_back_to_a_deprecated_model_in_a_line_without_an_active_one(self):
        catalogue = Catalogue()
        catalogue.update([info("claude-opus-5-5", lifecycle="deprecated")])
        assert catalogue.newest("opus").id == "claude-opus-5-5"

    def test_replaces_the_list_before_it(self):
        catalogue = Catalogue()
        catalogue.update([info("claude-opus-6")])
        catalogue.update([info("claude-opus-7")])
        assert catalogue.resolve("opus").card.id == "claude-opus-7"
        assert "claude-opus-6" not in names(catalogue)

    def test_changes_nothing_when_it_is_empty(self):
        catalogue = Catalogue()
        catalogue.update([])
        assert names(catalogue) == names(Catalogue())

    def test_is_read_in_the_shape_that_the_sdk_gives(self):
        row = model_info(SIMULATED[0])
        assert ModelInfo.model_validate(row).to_dict(mode="json") == row | {
            "created_at": ModelInfo.model_validate(row).to_dict(mode="json")["created_at"]
        }


def _facts(card: ModelCard) -> tuple[Any, ...]:
    return (
        card.line,
        card.lifecycle,
        card.max_input_tokens,
        card.max_tokens,
        card.thinking,
        card.efforts,
        card.structured_outputs,
        card.image_input,
        card.pdf_input,
        card.takes_sampling,
        card.takes_prefill,
        card.takes_forced_tool_choice,
        card.takes_mid_system,
    )


def test_the_ids_of_a_line_come_newest_first_also_for_a_model_nobody_described() -> None:
    catalogue = Catalogue()
    for asked in ("claude-sonnet-4-5", "claude-sonnet-99"):
        same = catalogue.same_line(asked)
        assert same[0] == catalogue.newest("sonnet").id
        assert "claude-sonnet-4-5" in same
        assert not any("opus" in model for model in same)
    assert catalogue.same_line("house-model") == []


def test_an_id_that_is_only_shaped_like_one_is_not_known() -> None:
    assert Catalogue().knows("claude-opus-5-5")
    assert not Catalogue().knows("claude-opus-99")
    assert not Catalogue().knows("sonnet")
