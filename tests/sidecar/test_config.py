"""Settings: names, precedence, and what is said of values that cannot be used."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from sidecar.config import Settings, environment_name, is_loopback
from sidecar.config_sources import LoadedSettings, SettingsError, load_settings
from sidecar.home import Home

SECRETS = [name for name, field in Settings.model_fields.items() if "SecretStr" in repr(field.annotation)]

SAMPLES: list[tuple[str, str, Any]] = [
    ("ANTHROPIC_API_KEY", "sk-ant-1", "sk-ant-1"),
    ("ANTHROPIC_BASE_URL", "http://127.0.0.1:9", "http://127.0.0.1:9"),
    ("GATEWAY_API_KEY", "mine", "mine"),
    ("ADMIN_API_KEY", "boss", "boss"),
    ("REDIS_URL", "redis://x", "redis://x"),
    ("DATABASE_URL", "postgresql://x/y", "postgresql://x/y"),
    ("ENABLE_RESPONSE_CACHE", "0", False),
    ("CACHE_TTL_SECONDS", "60", 60),
    ("CACHE_TOOL_CALL_TTL_SECONDS", "0", 0),
    ("CACHE_SAMPLED", "0", False),
    ("ENABLE_ANTHROPIC_CACHE_CONTROL", "0", False),
    ("ENABLE_FILE_HASH_CACHE", "false", False),
    ("STRIP_IDE_BOILERPLATE", "0", False),
    ("ENFORCE_DIFF_FIRST", "0", False),
    ("SYSTEM_MAX_CHARS", "1", 1),
    ("USER_MSG_MAX_CHARS", "2", 2),
    ("TOOL_RESULT_MAX_CHARS", "3", 3),
    ("DEFAULT_MAX_TOKENS", "1200", 1200),
    ("CIRCUIT_BREAKER_ENABLED", "0", False),
    ("BREAKER_FAILURE_PERCENT", "30", 30.0),
    ("BREAKER_CALLS", "5", 5),
    ("BREAKER_SECONDS", "60", 60),
    ("BREAKER_OPEN_SECONDS", "2.5", 2.5),
    ("RETRY_ENABLED", "False", False),
    ("RATE_LIMIT_ENABLED", "0", False),
    ("RATE_LIMIT_RPM", "5", 5),
    ("ENABLE_MULTI_PROJECT", "1", True),
    ("ENABLE_SMART_ROUTING", "0", False),
    ("ROUTE_NAMED_MODELS", "1", True),
    ("ROUTE_EFFORT", "1", True),
    ("ROUTER", "/home/me/router.py", Path("/home/me/router.py")),
    ("PROMETHEUS_ENABLED", "0", False),
    ("CGW_HOST", "::1", "::1"),
    ("CGW_PORT", "8080", 8080),
    ("CGW_LOG_LEVEL", "DEBUG", "debug"),
    ("ALLOWED_HOSTS", "tunnel.example, 10.0.0.9", ("tunnel.example", "10.0.0.9")),
    ("ALLOWED_ORIGINS", "https://chat.example", ("https://chat.example",)),
    ("MAX_BODY_BYTES", "1000", 1000),
    ("MIN_BODY_RATE", "0", 0),
    ("MAX_IN_FLIGHT", "8", 8),
    ("KEEP_BODIES", "0", 0),
    ("DASHBOARD_ROWS", "100000", 100_000),
    ("PING_SECONDS", "2.5", 2.5),
    ("UPSTREAM_TIMEOUT_SECONDS", "30", 30.0),
    ("UPSTREAM_PROXY", "http://proxy:8080", "http://proxy:8080"),
    ("ANTHROPIC_VERSION", "2023-06-01", "2023-06-01"),
    ("CACHE_TTL", "1h", "1h"),
    ("KEEP_WARM", "1", True),
    ("KEEP_WARM_BUDGET_USD", "0.5", Decimal("0.5")),
    ("REFERENCE_MIN_CHARS", "200", 200),
    ("PREFIX_REPAIR", "all", "all"),
    ("ENABLE_THINKING_MEMORY", "0", False),
    ("REDUCE_WITH_THINKING", "yes", True),
    ("STORED_RESPONSES_DAYS", "7", 7.0),
    ("HOLDOUT_PERCENT", "5", 5.0),
    ("STRIP_WHEN_COLD", "0", False),
    ("CONTEXT_PRUNING", "cold", "cold"),
    ("SIZE_LIMIT_ACTION", "refuse", "refuse"),
    ("CGW_TEST_CLOCK", "1", True),
    ("INTERCEPT", "1", True),
    ("INTERCEPT_PORT", "4999", 4999),
    ("INTERCEPT_HOSTS", "API.openai.com, openrouter.ai/api", ("api.openai.com", "openrouter.ai/api")),
    ("INTERCEPT_SUBSCRIPTIONS", "1", True),
]

FIELD_OF = {environment_name(field): field for field in Settings.model_fields}


def load(folder: Path, toml: str = "", environ: dict[str, str] | None = None, **flags: Any) -> LoadedSettings:
    home = Home(folder)
    if toml:
        home.config_file.write_text(toml, encoding="utf-8")
    return load_settings(home, flags, environ or {})


def plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def test_every_environment_name_has_a_sample_here() -> None:
    assert {name for name, _, _ in SAMPLES} == set(FIELD_OF) - {None}


@pytest.mark.parametrize(("name", "text", "value"), SAMPLES)
def test_the_environment_sets_it(tmp_path: Path, name: str, text: str, value: Any) -> None:
    loaded = load(tmp_path, environ={name: text})
    assert plain(getattr(loaded.settings, FIELD_OF[name])) == value
    assert loaded.origins[FIELD_OF[name]] == "env"


@pytest.mark.parametrize(("name", "text", "value"), SAMPLES)
@pytest.mark.parametrize("spelling", ["field", "upper", "environment"])
def test_cgw_toml_sets_it_under_any_spelling_of_its_name(
    tmp_path: Path, name: str, text: str, value: Any, spelling: str
) -> None:
    field = FIELD_OF[name]
    key = {"field": field, "upper": field.upper(), "environment": name}[spelling]
    loaded = load(tmp_path, f'{key} = "{text}"')
    assert plain(getattr(loaded.settings, field)) == value
    assert loaded.origins[field] == "cgw.toml"
    assert loaded.warnings == ()


def test_cgw_toml_takes_real_numbers_and_booleans_too(tmp_path: Path) -> None:
    settings = load(tmp_path, "port = 1\nretry_enabled = false\nenable_multi_project = 1\n").settings
    assert (settings.port, settings.retry_enabled, settings.enable_multi_project) == (1, False, True)


def test_nothing_set_gives_the_documented_defaults(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert loaded.settings.model_dump() == Settings().model_dump()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.settings.default_max_tokens is None
    assert loaded.settings.anthropic_api_key is None
    assert (loaded.settings.host, loaded.settings.port) == ("127.0.0.1", 4343)


@pytest.mark.parametrize("in_flag", [False, True])
@pytest.mark.parametrize("in_environment", [False, True])
@pytest.mark.parametrize("in_file", [False, True])
def test_flag_beats_environment_beats_file_beats_default(
    tmp_path: Path, in_flag: bool, in_environment: bool, in_file: bool
) -> None:
    loaded = load(
        tmp_path,
        "port = 3" if in_file else "",
        {"CGW_PORT": "2"} if in_environment else {},
        port=1 if in_flag else None,
    )
    expected = (
        (1, "flag") if in_flag else (2, "env") if in_environment else (3, "cgw.toml") if in_file else (4343, "default")
    )
    assert (loaded.settings.port, loaded.origins["port"]) == expected


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_counts_as_unset(tmp_path: Path, empty: str) -> None:
    loaded = load(tmp_path, "anthropic_api_key = 'from-file'", {"ANTHROPIC_API_KEY": empty})
    assert loaded.origins["anthropic_api_key"] == "cgw.toml"


@pytest.mark.parametrize("name", ["HOST", "PORT", "LOG_LEVEL", "MODELS", "HTTPS_PROXY", "UNHEARD_OF"])
def test_variables_of_other_programs_are_left_alone(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, environ={name: "something"}).settings.model_dump() == Settings().model_dump()


def test_settings_made_directly_see_neither_environment_nor_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-the-user")
    assert Settings().anthropic_api_key is None


def test_the_models_table_maps_names_of_the_users_own(tmp_path: Path) -> None:
    settings = load(tmp_path, '[models]\n"gpt-4o" = "opus"\n').settings
    assert settings.models == {"gpt-4o": "opus"}


@pytest.mark.parametrize(
    ("environ", "toml", "sentence"),
    [
        ({"CGW_PORT": "x"}, "", "CGW_PORT in the environment is 'x', .* must be a whole number"),
        ({"CGW_PORT": "70000"}, "", "CGW_PORT .* '70000', .* at most 65535"),
        ({"RATE_LIMIT_RPM": "0"}, "", "RATE_LIMIT_RPM .* '0', .* at least 1"),
        ({"RETRY_ENABLED": "maybe"}, "", "RETRY_ENABLED .* 'maybe', .* 0, 1, true or false"),
        ({"PING_SECONDS": "nan"}, "", "PING_SECONDS .* 'nan', .* must be a number"),
        ({"PING_SECONDS": "0"}, "", "PING_SECONDS .* more than 0"),
        ({"ANTHROPIC_BASE_URL": "api.anthropic.com"}, "", "ANTHROPIC_BASE_URL .* must be a URL such as https://"),
        ({"ANTHROPIC_BASE_URL": "http://me:s3cret@h"}, "", r"'http://me:\.\.\.@h', .* without a user and password"),
        ({"DATABASE_URL": "postgresql://me@[::1/x"}, "", "DATABASE_URL .* must be a URL such as postgresql://"),
        ({"DATABASE_URL": "postgresql://me:a/b@h/x"}, "", "DATABASE_URL .* must be a URL such as postgresql://"),
        ({"UPSTREAM_PROXY": "http://h:99999999"}, "", "UPSTREAM_PROXY .* must be a URL"),
        ({}, "intercept_hosts = []", "intercept_hosts .* must be at least one host name"),
        ({"INTERCEPT_HOSTS": ","}, "", "INTERCEPT_HOSTS .* must be at least one host name"),
        ({"INTERCEPT_HOSTS": "https://api.openai.com"}, "", "INTERCEPT_HOSTS .* must be host names such as"),
        ({"INTERCEPT_HOSTS": "api.openai.com:443"}, "", "INTERCEPT_HOSTS .* must be host names such as"),
        ({"INTERCEPT_HOSTS": "10.0.0.1"}, "", "INTERCEPT_HOSTS .* must be host names such as"),
        ({"ANTHROPIC_VERSION": "latest"}, "", "ANTHROPIC_VERSION .* must be a date such as 2023-06-01"),
        ({"CGW_HOST": "localhost:80"}, "", "CGW_HOST .* without a port"),
        ({"CGW_LOG_LEVEL": "loud"}, "", "CGW_LOG_LEVEL .* must be one of 'debug', 'info', 'warning' or 'error'"),
        ({}, "port = 1.5", r"port in .*cgw\.toml is 1.5, .* a whole number"),
        ({}, "anthropic_version = 2023-06-01", r"anthropic_version in .*cgw\.toml .* must be text \(in quotes\)"),
        ({}, "[models]\ngpt = 4", r"models\.gpt in .*cgw\.toml is 4, .* text"),
        ({}, "models = 'x'", r"models in .*cgw\.toml is 'x', .* a table"),
        ({}, "port = = 1", r"cgw\.toml is not valid TOML"),
    ],
)
def test_a_bad_value_is_told_with_its_name_its_place_and_what_is_allowed(
    tmp_path: Path, environ: dict[str, str], toml: str, sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load(tmp_path, toml, environ)


def test_a_bad_flag_is_named_as_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--port is 99999, .* at most 65535"):
        load(tmp_path, port=99999)


def test_keys_and_addresses_with_passwords_are_secrets() -> None:
    assert {"anthropic_api_key", "gateway_api_key", "admin_api_key", "redis_url", "database_url"} <= set(SECRETS)


@pytest.mark.parametrize("field", SECRETS)
def test_a_bad_secret_is_never_shown(tmp_path: Path, field: str) -> None:
    with pytest.raises(SettingsError, match=f"{field} in .* text") as caught:
        load(tmp_path, f"{field} = 987654321")
    assert "987654321" not in str(caught.value)


def test_every_bad_value_gets_its_own_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, "port = 'x'", {"RETRY_ENABLED": "x", "ANTHROPIC_API_KEY": "fine"})
    assert len(str(caught.value).splitlines()) == 2


def test_an_unknown_key_is_a_warning_with_the_nearest_name(tmp_path: Path) -> None:
    loaded = load(tmp_path, "enable_smart_ruting = 0\nzzz = 1\nport = 5\n")
    assert loaded.settings.port == 5
    near, far = loaded.warnings
    assert "`enable_smart_ruting` is not a setting and is ignored. Did you mean `enable_smart_routing`?" in near
    assert "`zzz` is not a setting and is ignored." in far
    assert "Did you mean" not in far


def test_secrets_do_not_appear_when_settings_are_printed(tmp_path: Path) -> None:
    secret = "postgresql://me:s3cret@host/db"
    settings = load(tmp_path, environ=dict.fromkeys((field.upper() for field in SECRETS), secret)).settings
    assert "s3cret" not in repr(settings) + str(settings)


def test_settings_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_hosts_are_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_hosts_that_others_reach_are_known(host: str) -> None:
    assert not is_loopback(host)


@given(
    environ=st.dictionaries(
        st.sampled_from(sorted(name for name in FIELD_OF if name)), st.text(st.characters(codec="utf-8"), max_size=12)
    )
)
def test_whatever_the_environment_holds_the_outcome_is_settings_or_one_sentence_a_value(
    tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]
) -> None:
    try:
        loaded = load_settings(Home(tmp_path_factory.getbasetemp() / "none"), environ=environ)
    except SettingsError as error:
        named = {name for name in environ if f"{name} in the environment" in str(error)}
        assert named
    else:
        assert loaded.settings.port >= 0
