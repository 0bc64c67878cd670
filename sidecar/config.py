"""Every setting, in one typed object. Where values come from is told in `config_sources`."""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

ENVIRONMENT_NAMES = {
    "host": "CGW_HOST",
    "port": "CGW_PORT",
    "log_level": "CGW_LOG_LEVEL",
    "test_clock": "CGW_TEST_CLOCK",
}
"""Names in the environment that are not just the upper-case field: shells and platforms export HOST and PORT."""

ONLY_IN_FILE = frozenset({"models", "boilerplate", "fallback", "routing"})
"""Tables, which one environment variable cannot hold well."""


def environment_name(field: str) -> str | None:
    """The variable that sets this field; None where only cgw.toml can."""
    return None if field in ONLY_IN_FILE else ENVIRONMENT_NAMES.get(field, field.upper())


def _web_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        complete = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        complete = False
    if not complete or parts.query or parts.fragment:
        raise ValueError("a URL such as https://host.example or http://127.0.0.1:8080")
    return url


def _without_credentials(url: str) -> str:
    if "@" in urlsplit(url).netloc:
        raise ValueError("a URL without a user and password: Claude's key goes by ANTHROPIC_API_KEY")
    return url


def without_password(address: str) -> str:
    """A URL fit to be shown; whatever is none stays as it is."""
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
    except ValueError:
        return "..."
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return address
    return parts._replace(netloc=f"{user.partition(':')[0]}:...@{host}").geturl()


def _database_address(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        complete = parts.scheme.partition("+")[0] in {"postgresql", "postgres", "sqlite"} and parts.port != 0
    except ValueError:
        complete = False
    if not complete:
        raise ValueError("a URL such as postgresql://user:password@host/database or sqlite:////home/me/ledger.sqlite3")
    return url


def _boilerplate_rows(tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if tables:
        from sidecar.boilerplate.catalogue import checked_rows

        checked_rows(tables)
    return tables


def _routing_table(table: dict[str, Any]) -> dict[str, Any]:
    if table:
        from sidecar.routing.rules import table_of

        table_of(table)
    return table


def _chains(table: object) -> object:
    """A chain of one may be written without brackets."""
    if not isinstance(table, dict):
        return table
    return {model: (chain,) if isinstance(chain, str) else chain for model, chain in table.items()}


def _bindable(host: str) -> str:
    if not host or any(character in host for character in "/ ") or host.count(":") == 1:
        raise ValueError("a host name or an IP address, without a port")
    return host


def _lower_case(level: object) -> object:
    return level.lower() if isinstance(level, str) else level


def _listed(names: object) -> object:
    return tuple(name for part in names.split(",") if (name := part.strip())) if isinstance(names, str) else names


def _intercepted(text: str) -> str:
    name, slash, path = text.partition("/")
    is_name = re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name, re.IGNORECASE)
    if not is_name or re.fullmatch(r"[0-9.]+", name) or not re.fullmatch(r"[\w.~/-]*", path):
        raise ValueError("host names such as api.openai.com, with a path where theirs is another (openrouter.ai/api)")
    return name.lower() + slash + path


def _at_least_one(hosts: tuple[str, ...]) -> tuple[str, ...]:
    if not hosts:
        raise ValueError("at least one host name")
    return hosts


def _origin(text: str) -> str:
    if text != "null" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#*\s]+", text, re.IGNORECASE):
        raise ValueError("origins such as https://chat.example, or null")
    return text


Listed = BeforeValidator(_listed)
"""In the environment with commas in between, in cgw.toml an array."""
WebAddress = Annotated[str, AfterValidator(_web_address)]
ClaudeAddress = Annotated[WebAddress, AfterValidator(_without_credentials)]
DatabaseAddress = Annotated[SecretStr, AfterValidator(_database_address)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
VersionDate = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Level = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower_case)]


class Settings(BaseSettings):
    """What the user chose. Made directly it holds defaults and the values given; `load_settings` reads the outside.

    Sizes are in characters or bytes as named, times in seconds.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    anthropic_api_key: SecretStr | None = None
    """Your key at Anthropic. Stays on this machine."""
    anthropic_base_url: ClaudeAddress = "https://api.anthropic.com"
    """Where Claude is reached."""
    anthropic_version: VersionDate | None = None
    """API version sent to Claude when a client names none. Unset: the one the anthropic SDK speaks."""
    gateway_api_key: SecretStr | None = None
    """The key that clients show to cgw. Unset: one is made on first start, in `gateway_key`."""
    admin_api_key: SecretStr | None = None
    """The key for admin routes. Unset: the gateway key."""
    redis_url: SecretStr | None = None
    """Redis for limits shared by a team."""
    database_url: DatabaseAddress | None = None
    """PostgreSQL for projects and a ledger shared by a team. Unset: SQLite in the home folder."""
    enable_response_cache: bool = True
    """Give a repeated request the answer that Claude gave before, and equal ones at one time the answer to one."""
    cache_ttl_seconds: Annotated[int, Field(ge=0)] = 1800
    """How long a cached answer may be reused; 0 keeps none."""
    cache_tool_call_ttl_seconds: Annotated[int, Field(ge=0)] = 60
    """The same for an answer that ends in tool calls: long enough for a retry, too short for a loop to feed on."""
    cache_sampled: bool = True
    """Reuse answers also where the client asks for a temperature above 0: most send one out of habit."""
    enable_anthropic_cache_control: bool = True
    """Place Claude's prompt-cache breakpoints."""
    cache_ttl: Literal["auto", "5m", "1h"] = "auto"
    """How long Claude keeps what we mark: `auto` decides for each request by the pauses it learned."""
    keep_warm: bool = False
    """Before a prompt cache expires in a pause, ask Claude once to keep it for an hour. Spends a little unasked."""
    keep_warm_budget_usd: Annotated[Decimal, Field(ge=0)] = Decimal("0.25")
    """What keeping warm may cost in one conversation."""
    enable_file_hash_cache: bool = True
    """Send a text that Claude already has as a reference."""
    reference_min_chars: Annotated[int, Field(ge=80)] | None = None
    """Shortest repeat that becomes a reference. Unset: 15 lines or 800 characters; 200 is the finest grain."""
    prefix_repair: Literal["volatile", "all", "off"] = "volatile"
    """What to do when a client changes something old: keep the old text and tell Claude the difference, for
    recognised dates, times, costs and open tabs or for every small change."""
    enable_thinking_memory: bool = True
    """Give Claude its own thinking back where the client does not send it: OpenAI's chat has no place for it."""
    reduce_with_thinking: bool = False
    """Shorten prompts also where the client returns Claude's signed thinking."""
    stored_responses_days: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    """How long answers of `/v1/responses` are kept for `previous_response_id`; `0` keeps none."""
    holdout_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Share of conversations that go without the layers, to measure what the layers are worth."""
    strip_ide_boilerplate: bool = True
    """Leave out editor boilerplate that says nothing new."""
    strip_when_cold: bool = True
    """Where the prompt cache has expired anyway, also leave out the state of the editor in earlier turns."""
    boilerplate: Annotated[list[dict[str, Any]], AfterValidator(_boilerplate_rows)] = Field(default_factory=list)
    """Tables `[[boilerplate]]`: your own tools' boilerplate, with the fields of the built-in catalogue."""
    context_pruning: Literal["overflow", "cold", "off"] = "overflow"
    """When old tool results become one-line stubs: only where the request would not fit the model, or also where the
    prompt cache has expired and it pays."""
    enforce_diff_first: bool = True
    """Ask for diffs where the client can apply them."""
    system_max_chars: Count = 40000
    """Largest system prompt."""
    user_msg_max_chars: Count = 120000
    """Largest user message."""
    tool_result_max_chars: Count = 20000
    """Largest tool result."""
    size_limit_action: Literal["warn", "cut", "refuse"] = "warn"
    """What happens to a system prompt or a user message over its size. Tool results over theirs are always cut."""
    default_max_tokens: Count | None = None
    """Answer limit for clients that name none, thinking included (the classic value is 1200). Unset: what the
    model needs, its own maximum up to 64,000."""
    circuit_breaker_enabled: bool = True
    """Stop asking for a moment when Claude keeps failing."""
    breaker_failure_percent: Annotated[float, Field(gt=0, le=100)] = 50.0
    """Share of failures at which the circuit breaker opens, for one model."""
    breaker_calls: Count = 20
    """It opens only where so many requests ended in its window."""
    breaker_seconds: Count = 30
    """Its window: how long an end counts."""
    breaker_open_seconds: Seconds = 30.0
    """How long it stays open before one request may try again."""
    retry_enabled: bool = True
    """Try again after overload and broken connections."""
    rate_limit_enabled: bool = True
    """Limit requests and tokens per minute. Budgets hold without it too."""
    rate_limit_rpm: Count = 60
    """Requests per minute for each project that has no limit of its own."""
    enable_multi_project: bool = False
    """Several projects, each with a key, limits and a budget of its own."""
    enable_smart_routing: bool = True
    """Choose the model by the task where the client asks for `auto`, `auto:fast` or `auto:best`."""
    route_named_models: bool = False
    """Choose it also where the client names a model."""
    route_effort: bool = False
    """Let Claude think less about a turn that only reads what a tool gave back, where that is cheaper."""
    router: Path | None = None
    """A Python file whose function `route` may choose another model than the rules did."""
    prometheus_enabled: bool = True
    """Serve metrics at /admin/metrics."""

    host: Annotated[str, AfterValidator(_bindable)] = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 4343
    """Port to listen on; 0 takes a free one."""
    allowed_hosts: Annotated[tuple[Annotated[str, AfterValidator(_bindable)], ...], Listed] = ()
    """More names by which requests may call this machine (a tunnel's, say). Addresses and localhost always may."""
    allowed_origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], Listed] = ()
    """Web pages that may send requests, by origin (`https://chat.example`). All others are refused."""
    max_body_bytes: Count = 64 * 1024 * 1024
    """Largest request taken; more is a 413."""
    min_body_rate: Annotated[int, Field(ge=0)] = 1_000
    """Bytes a second that a request's body must come with after its first minute; slower is a 408, 0 takes any."""
    max_in_flight: Count = 256
    """Most requests answered at one time; more get a 503."""
    keep_bodies: Annotated[int, Field(ge=0)] = 50
    """Of how many requests bodies and answers are kept for the dashboard, in memory only; 0 keeps none."""
    dashboard_rows: Count = 100_000
    """Of how many requests the dashboard has a line; a thousand take about 0.5 MB."""
    ping_seconds: Seconds = 10.0
    """Silence after which a streaming client gets a comment, so that it does not give up."""
    upstream_timeout_seconds: Seconds = 600.0
    """Silence from Claude after which a request is given up."""
    upstream_proxy: WebAddress | None = None
    """HTTP proxy on the way to Claude. HTTPS_PROXY is ignored: it is meant for other programs."""
    intercept: bool = False
    """Also start the interceptor, for programs that cannot be given a base URL."""
    intercept_port: Annotated[int, Field(ge=0, le=65535)] = 4344
    """Its port, on this machine only; 0 takes a free one."""
    intercept_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_intercepted)], ...], AfterValidator(_at_least_one), Listed
    ] = ("api.openai.com", "api.anthropic.com")
    """Whose requests it sends to cgw; all other hosts it leaves alone. Another list needs another authority: trust it
    anew."""
    intercept_subscriptions: bool = False
    """Also take requests with a Claude subscription's token; your API key then pays for them."""
    log_level: Level = "info"
    """How much is logged."""
    test_clock: bool = False
    """Take the time for warmth, lifetimes and pauses from a request's `X-Cgw-Clock` (epoch seconds): for replays."""
    fallback: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_chains)] = Field(default_factory=dict)
    """Table `[fallback]`: which models may answer, one after the other, instead of one that keeps failing, is
    overloaded or is not there (`opus = ["sonnet", "haiku"]`)."""
    routing: Annotated[dict[str, Any], AfterValidator(_routing_table)] = Field(default_factory=dict)
    """Table `[routing]`: rules, thresholds and lanes over the shipped ones; models that it may (`allow`) or may not
    (`deny`) choose."""
    models: dict[str, str] = Field(default_factory=dict)
    """Table `[models]`: names that your tools insist on, each with the Claude model or alias it means."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing from outside: the demo and the tests must not pick up a user's keys. `load_settings` adds them."""
        return (init_settings,)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
