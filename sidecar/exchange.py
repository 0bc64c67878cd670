"""One request and its answer: what every addon sees (mitmproxy's "flow").

Pure values; nothing here knows a server, a store or a screen.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from sidecar.errors import GatewayError

if TYPE_CHECKING:
    from sidecar.accounts.account import Account
    from sidecar.bodies import Known, Made
    from sidecar.call import Call, Reader
    from sidecar.prompt import Prompt
    from sidecar.routing.decide import Route
from sidecar.projects.policy import FREE, Policy

Json = dict[str, Any]
"""A parsed JSON object."""

Dialect = Literal["openai_chat", "openai_responses", "openai_completions", "anthropic_messages"]
Via = Literal["base_url", "interceptor"]
"""By which door a request came in: the tool's own base URL, or mitmproxy."""
VIA_HEADER = "x-cgw-via"

FALLBACK = "fallback"
"""`route_reason` of a model that answers in place of another."""

NoteAction = Literal["mapped", "ignored", "dropped", "changed", "repaired"]
LOSSY_ACTIONS: frozenset[NoteAction] = frozenset({"dropped", "changed", "repaired"})
"""What `X-Gateway-Strict: 1` refuses. `mapped` and `ignored` cannot change what the client gets."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that could not be passed on exactly as the client wrote it.

    `field` is the path in the client's body (`messages[3].content`, `temperature`), `detail` one short clause for a
    reader.
    """

    field: str
    action: NoteAction
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.field}={self.action}" + (f" ({self.detail})" if self.detail else "")


@dataclass(slots=True)
class Usage:
    """Token counters as Anthropic returns them: `input_tokens` excludes both cache counters.

    `cache_write_tokens` is the whole of what was written; the two `_5m`/`_1h` fields are its split.
    `thinking_tokens` is part of `output_tokens`.
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    web_searches: int = 0
    """Searches that ran at Anthropic's, billed by the piece."""
    speed: str | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    """These three change the price; as Anthropic says that they were, whatever was asked for."""

    def __add__(self, other: Usage) -> Usage:
        """The counters of both; the terms are this one's."""
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in COUNTERS})

    @property
    def cache_write_tokens(self) -> int:
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def prompt_tokens(self) -> int:
        """Everything the model read, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_5m_tokens + self.cache_write_1h_tokens

    def update(self, wire: object) -> None:
        """Take over the counters of one `usage` object; later ones are cumulative and replace earlier ones. What is no
        count is left out: an upstream that errs must not spoil the accounts."""
        if not isinstance(wire, dict):
            return
        for counter, name in TOLD_AS.items():
            tokens = wire.get(name)
            if type(tokens) is int and 0 <= tokens <= MOST_TOKENS:
                setattr(self, counter, tokens)
        if (split := wire.get("cache_creation")) is not None:
            self.cache_write_5m_tokens = _count(split, "ephemeral_5m_input_tokens") or 0
            self.cache_write_1h_tokens = _count(split, "ephemeral_1h_input_tokens") or 0
        # The total counts where the split is missing or knows a lifetime that this class does not.
        total = _count(wire, "cache_creation_input_tokens")
        if total is not None and total != self.cache_write_tokens:
            self.cache_write_1h_tokens = min(self.cache_write_1h_tokens, total)
            self.cache_write_5m_tokens = total - self.cache_write_1h_tokens
        if (details := wire.get("output_tokens_details")) is not None:
            self.thinking_tokens = _count(details, "thinking_tokens") or 0
        if (server_tools := wire.get("server_tool_use")) is not None:
            self.web_searches = _count(server_tools, "web_search_requests") or 0
        for term in TERMS:
            if (told := wire.get(term)) and isinstance(told, str):
                setattr(self, term, told)


def _count(wire: object, name: str) -> int | None:
    told = wire.get(name) if isinstance(wire, dict) else None
    return told if type(told) is int and 0 <= told <= MOST_TOKENS else None


MOST_TOKENS = 10**9
"""More than any request has: a counter beyond it is none."""

TOLD_AS = {
    "input_tokens": "input_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "output_tokens": "output_tokens",
}
"""Fields of `Usage` that are told as they are, and what Anthropic calls them."""

TERMS = ("speed", "service_tier", "inference_geo")
"""Those that change the price."""

COUNTERS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "thinking_tokens",
    "web_searches",
)
"""The fields of `Usage` that add up."""


@dataclass(slots=True)
class Retracted:
    """An answer of Claude's that the client never saw to its end, since a layer spoiled it. It is billed all the
    same."""

    layer: str
    usage: Usage
    delivered: int
    """As in `Exchange`."""
    whole: bool
    """Whether usage is final."""


@dataclass(slots=True)
class Timing:
    """Monotonic seconds; `None` until the moment has come."""

    received: float = field(default_factory=time.perf_counter)
    """The body is here, and not read yet."""
    upstream_sent: float | None = None
    joined: float | None = None
    """From here on it waited for the call of an equal request."""
    first_byte: float | None = None
    upstream_ended: float | None = None
    """Claude's answer has been passed on to its end, or will never come to it."""
    finished: float | None = None

    def since_received(self, moment: float | None) -> float | None:
        return None if moment is None else moment - self.received

    @property
    def overhead(self) -> float | None:
        """Seconds that were the gateway's own: from the client's last byte until the request goes out, and from the end
        of Claude's answer until the end of ours.

        What happens while an answer streams is not in it: the gateway's work on one event (microseconds) cannot be told
        from the wait for the next one, and a client that reads slowly is not the gateway's doing.
        """
        if self.finished is None:
            return None
        sent = self.joined if self.upstream_sent is None else self.upstream_sent
        if sent is None or self.upstream_ended is None:
            return self.finished - self.received
        return (sent - self.received) + (self.finished - self.upstream_ended)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a layer decided, in one line for a reader, with the numbers it decided by.

    Numbers are in tokens, micro-dollars and seconds as their names say (`tokens`, `saved_micro_usd`, `gap_seconds`).
    """

    layer: str
    what: object
    """Says it as text, once somebody reads it: most are never read."""
    numbers: Mapping[str, int | float | str] = field(default_factory=dict)

    @property
    def said(self) -> str:
        return str(self.what)

    def __str__(self) -> str:
        return f"{self.layer}: {self.said}"


@dataclass(frozen=True, slots=True)
class MissCause:
    """Why Claude's prompt cache did not hold what it was expected to."""

    ours: bool
    """Whether the gateway itself caused it."""
    cause: str
    """One line for a reader: ``the system prompt changed at character 1,204: `Today is ...` ``."""
    tokens: int
    """What had to be read anew."""
    cost_picos: int
    """What that cost more than reading it from the cache, in pico-dollars."""


@dataclass(slots=True)
class Exchange:
    """One request on its way to Claude and back.

    An addon may edit `request` (and must then set `edited`), append to `notes`, or set `answer` to a complete
    Anthropic message to spare the call. `client_body` stays what the client sent.
    """

    id: str
    dialect: Dialect
    client_headers: Mapping[str, str]
    """Lower-case names; credentials already taken out."""
    query: str
    """The query string as the client wrote it; passed on on the native route."""
    client_body: bytes
    request: Json
    """The inner form: an Anthropic Messages request."""
    stream: bool
    model_asked: str
    """What the client wrote: an alias, a Claude id or an OpenAI id."""
    model: str = ""
    """The Claude id that goes upstream."""
    model_resolved: str = ""
    """The Claude id that the client's name means: `model` before any addon chose another."""
    route_reason: str = ""
    wish: Literal["auto", "fast", "best"] | None = None
    """What the client left to us: the model, to be a fast or the best one where it said so. None: it named one."""
    route: Route | None = None
    """What routing decided, where it acted."""
    fallback: str | None = None
    """Why another model answers than the one that was chosen."""
    effort_hint: str | None = None
    """An effort level that the model's name carried (`...-thinking-high`)."""
    project: str = "default"
    """Whose cache, conversations and usage this is: part of the key of whatever is kept."""
    policy: Policy = FREE
    """What the project may use, and which layers it turned on or off for itself."""
    conversation: str = ""
    """The same for every request of one conversation, see `sidecar.conversations`."""
    client: str = "unknown"
    kind: Literal["generate", "count_tokens"] = "generate"
    choices: int = 1
    """How many answers the client wants to the same request (`n`); each is an exchange of its own."""
    known: Known | None = None
    """What of it was there in an earlier request."""
    made: Made | None = None
    """Where it is kept what is made of it, for a later one."""
    prompt: Prompt | None = None
    """The request position by position; None where there is nothing for layers to do: token counts, turns of a
    server-held thread, shapes that are the API's to judge."""
    bypass: bool = False
    """No new reductions: the client said `X-Gateway-Bypass: 1`, or the conversation is in the hold-out."""
    holdout: bool = False
    """Whether the conversation belongs to the arm that measures what the layers are worth."""
    reduces: bool = False
    """Whether layers may shorten what is new: not under a bypass, and not without the user's word where the client
    returns signed thinking."""
    decisions: list[Decision] = field(default_factory=list)
    unassembled: Json | None = None
    """The request that `prompt` was last put into: what it is put into again, should the prompt change."""
    edited: bool = False
    """True once `request` no longer says what `client_body` says; only then is it serialised anew on the native
    route."""
    notes: list[Note] = field(default_factory=list)
    response_headers: dict[str, str] = field(default_factory=dict)
    """Extra headers for the client, lower-case names."""

    answer: Json | None = None
    """The complete Anthropic message, once there is one."""
    reply_key: str | None = None
    """The same for equal requests, that may have the same answer; None where each is to have its own."""
    call: Call | None = None
    """Its own call to Claude, which equal requests may join."""
    joined: Reader | None = None
    """Its place at an equal request's call, where it makes none itself."""
    spared: Usage | None = None
    """What its answer cost the exchange whose call it joined."""
    cache: Literal["HIT", "MISS"] = "MISS"
    usage: Usage = field(default_factory=Usage)
    """As Claude reported it; completed by an estimate where `account` is marked estimated."""
    delivered: int = 0
    """Bytes of text, thinking and tool input in the deltas so far: what an answer that breaks off is judged by."""
    account: Account | None = None
    """What it cost; there when the listeners hear of it, but None for a token count."""
    stop_reason: str | None = None
    retracted: list[Retracted] = field(default_factory=list)
    retries: int = 0
    """How often Claude was asked again, after it failed."""
    status: int = 0
    error: GatewayError | None = None
    cancelled: bool = False
    failed_addons: set[str] = field(default_factory=set)
    """Class names of the addons that raised: they sit out the rest of this exchange."""
    upstream_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of Claude's answer, lower-case names."""
    message_id: str | None = None
    """Claude's id of the answer."""
    cache_miss: Json | None = None
    """Anthropic's own diagnosis of a prompt cache that did not hold."""
    miss: MissCause | None = None
    removed_tokens: int = 0
    """What the layers kept out of this request, those of earlier turns included; an estimate. Set with `account`."""
    upstream_body: tuple[bytes, ...] = ()
    """What was posted to Claude, once it was, in pieces that other requests may have too."""
    heard: bytes | None = None
    """Claude's answer as it came, a body or events: set at the end where somebody wants to look at it later."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    now: float = 0.0
    """Epoch seconds that count for warmth, lifetimes and gaps: `started`, unless a replay says otherwise."""
    timing: Timing = field(default_factory=Timing)

    def __post_init__(self) -> None:
        self.now = self.now or self.started.timestamp()

    @property
    def via(self) -> Via:
        return "interceptor" if self.client_headers.get(VIA_HEADER) == "interceptor" else "base_url"

    @property
    def goes_upstream(self) -> bool:
        """Whether Claude is to be asked for it: it has no answer yet, and joined no call."""
        return self.answer is None and self.joined is None

    @property
    def billed(self) -> Usage:
        """All that Claude counted for this exchange: of its answer, and of those that were retracted."""
        return sum((one.usage for one in self.retracted), start=self.usage) if self.retracted else self.usage

    def retract(self, layer: str) -> None:
        """The answer so far is not to reach the client, by a fault of `layer`; what it costs is kept."""
        self.retracted.append(Retracted(layer, self.usage, self.delivered, whole=self.stop_reason is not None))
        self.usage = Usage()
        self.delivered = 0
        self.stop_reason = None
        self.answer = None

    def decide(self, layer: str, what: object, **numbers: int | float | str) -> None:
        """`what` must not change any more: it is asked later for its text."""
        self.decisions.append(Decision(layer, what, numbers))

    def note(self, field_path: str, action: NoteAction, detail: str = "") -> None:
        self.notes.append(Note(field_path, action, detail))
