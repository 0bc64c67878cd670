"""What a sidecar tells its dashboard, with the same words every time: pictures need numbers that stand still.

The shapes are those of a real one; `tests/tui/test_contract.py` holds the two together.
"""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from sidecar.exchange import Json

KEY = "key-of-the-dashboard"
VERSION = "9.9"
NOON = 1_795_348_800.0  # 2026-11-22 12:00:00 UTC
CENT = 10_000_000_000
HEARTBEAT_SECONDS = 2.0


def row(number: int, **fields: Any) -> Json:
    """The request `req_NUMBER`, answered, at noon and as many seconds."""
    return {
        "id": f"req_{number}",
        "time": NOON + number,
        "state": "ok",
        "kind": "generate",
        "dialect": "openai_chat",
        "stream": True,
        "project": "web",
        "client": "aider",
        "conversation": "c0ffee",
        "model_asked": "sonnet",
        "model": "claude-sonnet-5-5",
        "route_reason": "alias",
        "input_tokens": 120,
        "cache_read_tokens": 41_200,
        "cache_write_tokens": 880,
        "output_tokens": 512,
        "thinking_tokens": 0,
        "removed_tokens": 9_400,
        "delivered_bytes": 2048,
        "cache": "MISS",
        "prompt_cache": "hit",
        "cost_picos": 2 * CENT,
        "baseline_picos": 15 * CENT,
        "saved_picos": 13 * CENT,
        "saved_by": {"prompt_cache": 10 * CENT, "file_references": 3 * CENT},
        "estimated": False,
        "first_byte_ms": 840.0,
        "duration_ms": 4200.0,
        "overhead_ms": 6.5,
        "status": 200,
        "error": None,
        "stop_reason": "end_turn",
        "retries": 0,
        "miss": None,
        "has_body": True,
        "via": "base_url",
        **fields,
    }


MISS = {
    "ours": False,
    "cause": "the system prompt changed at character 1,204: `Today is Monday`",
    "tokens": 41_200,
    "cost_picos": 26 * CENT,
}

ROWS = [
    row(0, prompt_cache="new", cache_read_tokens=0, cache_write_tokens=42_080, saved_picos=-CENT, saved_by={}),
    row(1),
    row(2, client="cline", project="api", model_asked="opus", model="claude-opus-5-5", cost_picos=31 * CENT),
    row(3, prompt_cache="miss", cache_read_tokens=0, cache_write_tokens=42_080, miss=MISS, cost_picos=28 * CENT),
    row(4, miss={**MISS, "ours": True, "cause": "what had been sent before was shortened anew"}, prompt_cache="partly"),
    row(5, cache="HIT", cost_picos=0, duration_ms=4.0, first_byte_ms=3.0, input_tokens=0, cache_read_tokens=0),
    row(6, state="failed", status=529, error="overloaded_error", cost_picos=0, saved_picos=0, retries=2),
    row(7, state="left", status=499, estimated=True),
    row(8, state="running", status=0, output_tokens=64, duration_ms=None, cost_picos=0, saved_picos=0),
]


def state(**fields: Any) -> Json:
    return {
        "uptime_seconds": 3_725.0,
        "requests": 9,
        "in_flight": 1,
        "running": ["req_8"],
        "bypass": False,
        "recording": False,
        "keeps_bodies": 50,
        "ledger": {"state": "ok", "written": 8},
        "warnings": [],
        "upstream": {"url": "https://api.anthropic.com", "state": "ok", "last_error": None, "breakers": []},
        "interceptor": {"state": "off"},
        "budgets": [],
        "dropped": 0,
        **fields,
    }


def sums(saved: int, cost: int, requests: int) -> Json:
    return {
        "requests": requests,
        "errors": 2,
        "left": 0,
        "estimated": 0,
        "input_tokens": 12_000,
        "cache_read_tokens": 1_880_000,
        "cache_write_tokens": 92_000,
        "output_tokens": 61_000,
        "removed_tokens": 402_000,
        "cost_picos": cost * CENT,
        "baseline_picos": (cost + saved) * CENT,
        "saved_picos": saved * CENT,
        "cache_hits": 3,
        "retries": 2,
    }


def overview() -> Json:
    series = [
        {
            "time": NOON - 900 + 10 * number,
            "sent_tokens": 1_000 * (number % 7),
            "read_tokens": 9_000 * (number % 5),
            "removed_tokens": 2_000 * (number % 3),
            "output_tokens": 500,
            "cost_picos": CENT * (number % 4),
            "baseline_picos": 5 * CENT * (number % 4),
            "requests": number % 4,
        }
        for number in range(90)
    ]
    models = [
        {
            "asked": "sonnet",
            "model": "claude-sonnet-5-5",
            "reason": "alias",
            "requests": 30,
            "estimated": 0,
            "cost_picos": 91 * CENT,
        },
        {
            "asked": "opus",
            "model": "claude-opus-5-5",
            "reason": "alias",
            "requests": 4,
            "estimated": 0,
            "cost_picos": 62 * CENT,
        },
    ]
    return {
        "today": sums(912, 153, 34),
        "week": sums(4_130, 801, 208),
        "month": sums(16_004, 3_377, 931),
        "range": sums(912, 153, 34),
        "series": series,
        "layers": [
            {"layer": "prompt_cache", "saved_picos": 700 * CENT, "requests": 33, "estimated": 0},
            {"layer": "file_references", "saved_picos": 190 * CENT, "requests": 12, "estimated": 0},
            {"layer": "response_cache", "saved_picos": 24 * CENT, "requests": 3, "estimated": 0},
            {"layer": "keep_warm", "saved_picos": -2 * CENT, "requests": 1, "estimated": 0},
        ],
        "models": [{**line, "saved_picos": 5 * CENT} for line in models],
        "routes": [{name: line[name] for name in ("reason", "model", "requests")} for line in models],
        "budgets": [
            {
                "project": "web",
                "period": "month",
                "budget_picos": 5_000 * CENT,
                "spent_picos": 4_400 * CENT,
                "estimated": False,
            }
        ],
    }


CONVERSATION = {
    "conversation": "c0ffee",
    "project": "web",
    "client": "aider",
    "model": "claude-sonnet-5-5",
    "turns": 5,
    "first": NOON,
    "last": NOON + 8,
    "prompt_tokens": 42_200,
    "growth": [12_000, 20_000, 31_000, 40_000, 42_200],
    "cost_picos": 61 * CENT,
    "saved_picos": 140 * CENT,
    "estimated": 0,
    "reads": 3,
    "misses": 2,
    "miss_picos": 52 * CENT,
    "ours": 1,
    "title": None,
}

FILES = [
    {
        "project": "web",
        "digest": "a" * 32,
        "path": "src/parser.py",
        "tokens": 3_800,
        "times": 15,
        "resent_tokens": 52_600,
        "saved_tokens": 49_600,
        "last_seen": NOON,
    }
]


def projects() -> list[Json]:
    return [
        {
            "name": "web",
            "key_last4": "x7Qa",
            "rpm": 60,
            "tpm": None,
            "daily_budget_picos": None,
            "monthly_budget_picos": 5_000 * CENT,
            "spent_today_picos": 153 * CENT,
            "spent_month_picos": 4_400 * CENT,
            "requests_today": 34,
            "saved_month_picos": 16_004 * CENT,
            "estimated_today": 0,
            "estimated_month": 0,
            "switches": {"enable_response_cache": True, "enable_smart_routing": False},
            "overridden": ["enable_smart_routing"],
        }
    ]


DOCTOR = {
    "findings": [
        {"check": "python", "severity": "ok", "said": "Python 3.12.1.", "fix": None},
        {"check": "permissions", "severity": "warning", "said": "Others may read it.", "fix": "`cgw doctor --fix`."},
        {"check": "key", "severity": "problem", "said": "There is no key.", "fix": "`export ANTHROPIC_API_KEY=...`."},
    ],
    "checked": NOON,
}


def exchange(found: Json) -> Json:
    """The detail of a row."""
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "Find the bug."}]}
    lines = "\n".join(f"line {number}" for number in range(40))
    return {
        "row": found,
        "client": {
            "method": "POST",
            "path": "/v1/chat/completions",
            "headers": {"authorization": "sk-...x7Qa", "user-agent": "aider/0.9"},
            "body": json.dumps(body),
        },
        "upstream": {
            "url": "https://api.anthropic.com/v1/messages",
            "headers": {"anthropic-version": "2026-10-21"},
            "body": json.dumps({**body, "model": "claude-sonnet-5-5"}),
            "same_as_client": False,
        },
        "edits": [
            {
                "layer": "file_references",
                "where": "messages[4].content[0]",
                "before": lines,
                "after": "[cgw: same 40 lines as src/parser.py:1-40 above]",
                "removed_tokens": 380,
                "saved_picos": 3 * CENT,
                "new": True,
            }
        ],
        "decisions": [
            {
                "layer": "file_references",
                "said": "kept: would cost $0.12 to save $0.01",
                "numbers": {"tokens": 41_200, "cost_micro_usd": 120_000},
            }
        ],
        "notes": [{"field": "temperature", "action": "ignored", "detail": "this model takes none"}],
        "answer": {"content": [{"type": "text", "text": "It is in the parser."}], "stop_reason": "end_turn"},
        "answer_headers": {"request-id": "req_011"},
        "timing": [
            {"name": "cgw, before Claude", "start_ms": 0.0, "end_ms": 6.5},
            {"name": "waiting for Claude", "start_ms": 6.5, "end_ms": 840.0},
            {"name": "streaming", "start_ms": 840.0, "end_ms": 4200.0},
        ],
        "cost": {
            "model": "claude-sonnet-5-5",
            "lines": [
                {"what": "input", "tokens": 120, "picos_per_token": 3_000_000, "picos": 360_000_000},
                {"what": "cache read", "tokens": 41_200, "picos_per_token": 300_000, "picos": 12_360_000_000},
            ],
            "total_picos": 2 * CENT,
            "baseline_picos": 15 * CENT,
            "saved_by": found["saved_by"],
            "estimated": False,
        },
    }


class ToldSidecar:
    """Listens on a free loopback port of the running loop while the block runs."""

    def __init__(self) -> None:
        self.instance = "first"
        self.version = VERSION
        self.rows: list[Json] = [dict(one) for one in ROWS]
        self.ledger: list[Json] = []
        """Requests that only the ledger remembers, oldest first."""
        self.conversations: list[Json] | None = None
        """Other ones than usual."""
        self.state = state()
        self.overview = overview()
        self.projects = projects()
        self.asked: list[tuple[str, str, Any]] = []
        """(method, path without `/admin/`, content) of everything but the feed and what is only read."""
        self._watchers: set[asyncio.Queue[bytes | None]] = set()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Again on the same port, after a `stop`."""
        app = web.Application()
        app.router.add_get("/admin/events", self._events)
        app.router.add_route("*", "/admin/{path:.*}", self._admin)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        for watcher in self._watchers:
            watcher.put_nowait(None)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def tell(self, name: str, content: Json) -> None:
        """One event to whoever watches."""
        content = {"time": NOON, **content} if name == "batch" else content
        for watcher in self._watchers:
            watcher.put_nowait(_event(name, content))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("x-api-key") != KEY:
            return web.json_response({"error": {"message": "The key is another one."}}, status=401)
        stream = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await stream.prepare(request)
        hello = {"instance": self.instance, "version": self.version, "url": self.url, "time": NOON}
        await stream.write(_event("hello", {**hello, "rows": self.rows, "state": self.state}))
        watcher: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._watchers.add(watcher)
        try:
            while (event := await self._next(watcher)) is not None:
                await stream.write(event)
        finally:
            self._watchers.discard(watcher)
        return stream

    async def _next(self, watcher: asyncio.Queue[bytes | None]) -> bytes | None:
        """As often as a real one says something, it does too."""
        try:
            return await asyncio.wait_for(watcher.get(), HEARTBEAT_SECONDS)
        except TimeoutError:
            return _event("state", self.state)

    async def _admin(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        content = json.loads(body) if (body := await request.read()) else None
        if request.method != "GET":
            self.asked.append((request.method, path, content))
        told = self._told(request.method, path, content)
        if path == "requests":
            told = self._page(int(request.query["limit"]), request.query.get("before"))
        if told is None:
            return web.json_response({"error": {"message": "It is not kept any more."}}, status=404)
        return web.json_response(told)

    def _page(self, limit: int, before: str | None) -> Json:
        names = [one["id"] for one in self.ledger]
        end = names.index(before) if before in names else len(names)
        return {"rows": self.ledger[max(0, end - limit) : end][::-1], "more": end > limit}

    def _told(self, method: str, path: str, content: Any) -> Any:
        first, _, rest = path.partition("/")
        found = next((one for one in self.rows if rest.startswith(one["id"])), None)
        match method, first:
            case "GET", "overview":
                return self.overview
            case "GET", "exchanges":
                return exchange(found) if found else None
            case "POST", "exchanges":
                return {"id": "req_again"}
            case "GET", "conversations":
                lines = [
                    CONVERSATION,
                    {**CONVERSATION, "conversation": "beef", "client": "cline", "ours": 0, "misses": 0},
                ]
                lines = lines if self.conversations is None else self.conversations
                turns = [one for one in self.rows if one["state"] == "ok"]
                return {"conversation": CONVERSATION, "turns": turns} if rest else {"conversations": lines}
            case "GET", "files":
                return {"files": FILES}
            case "GET", "projects":
                return {"projects": self.projects, "layers": list(self.projects[0]["switches"])}
            case "PATCH", "projects":
                return self._switched(content["switches"])
            case "GET", "doctor":
                return DOCTOR
            case "POST", "bypass" | "bodies":
                field = "bypass" if first == "bypass" else "keeps_bodies"
                self.state = {**self.state, field: content.get("on", content.get("keep"))}
                return self.state
            case "DELETE", "cache":
                return {"cleared": 3}
            case _:
                return None

    def _switched(self, switches: dict[str, bool | None]) -> Json:
        project = self.projects[0]
        for name, on in switches.items():
            own = {*project["overridden"]} - {name} | ({name} if on is not None else set())
            project["overridden"] = sorted(own)
            project["switches"] = {**project["switches"], name: bool(on)}
        return project


def _event(name: str, content: Json) -> bytes:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n".encode()
