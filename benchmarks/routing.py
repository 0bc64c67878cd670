"""How well requests are routed by what they are: the labelled set through a real sidecar, as a confusion matrix.

    python benchmarks/routing.py [--half tuning|held_out|all] [--client NAME] [--no-mistakes]

Each request goes over HTTP to a sidecar in this process, with the settings that users have and a simulated Claude
behind it; which model answered is what the sidecar says in its own header. None follows another: requests that begin
alike meet different sidecars, so that nothing is decided by what went before. The held-out half is for the end: whoever
makes or changes rules looks at the other one alone (`benchmarks/routing_set/README.md`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from sidecar.commands.in_process import sidecar_in_process
from sidecar.config import Settings
from sidecar.conversations import conversation_id
from sidecar.home import Home
from sidecar.models.catalogue import Catalogue
from sidecar.simulator.answers import Answer
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import DEFAULT_KEY

SET: Final = Path(__file__).parent / "routing_set"
HALVES: Final = ("tuning", "held_out")
LABELS: Final = ("errand", "ordinary", "complex")
LANES: Final = ("haiku", "sonnet", "opus")
"""The line of models that each label should be answered by, in the order of `LABELS`."""
Z: Final = 1.959964
"""Of a two-sided interval of 95 %."""


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled request."""

    id: str
    label: str
    half: str
    client: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class Routed:
    row: Row
    lane: str
    """The line of the model that answered; empty where no model was chosen."""
    told: str
    """The sidecar's own words: how it decided, or why it refused."""

    @property
    def right(self) -> bool:
        return LANES.index(self.lane) == LABELS.index(self.row.label)


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`, with Wilson's interval."""

    hits: int
    of: int

    def __str__(self) -> str:
        if not self.of:
            return "none"
        low, high = self.interval
        return f"{self.hits / self.of:.3f} ({self.hits}/{self.of}, {low:.3f} to {high:.3f})"

    @property
    def interval(self) -> tuple[float, float]:
        share, n = self.hits / self.of, self.of
        middle = share + Z**2 / (2 * n)
        spread = Z * sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
        return max(0.0, (middle - spread) / (1 + Z**2 / n)), min(1.0, (middle + spread) / (1 + Z**2 / n))

    @classmethod
    def recall(cls, routed: Iterable[Routed], label: str) -> Self:
        meant = [one for one in routed if one.row.label == label]
        return cls(sum(one.right for one in meant), len(meant))

    @classmethod
    def precision(cls, routed: Iterable[Routed], label: str) -> Self:
        sent = [one for one in routed if one.lane == LANES[LABELS.index(label)]]
        return cls(sum(one.right for one in sent), len(sent))


def read(folder: Path = SET) -> list[Row]:
    return [
        Row(**json.loads(line)) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()
    ]


# --- asking


def rounds(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows in groups in which no two are of one conversation."""
    groups: list[list[Row]] = []
    seen: Counter[str] = Counter()
    for row in rows:
        conversation = conversation_id("", row.headers, {"system": None, **row.body, "messages": _spoken(row.body)})
        if seen[conversation] == len(groups):
            groups.append([])
        groups[seen[conversation]].append(row)
        seen[conversation] += 1
    return groups


def _spoken(body: dict[str, Any]) -> list[Any]:
    """The messages without the system's: two conversations that differ in it alone may not meet either."""
    said = body.get("messages") or body.get("input") or ()
    return [message for message in said if message.get("role") not in ("system", "developer")]


async def route(rows: Sequence[Row]) -> list[Routed]:
    """Ask a fresh sidecar for each group of rows, one request after the other."""
    catalogue = Catalogue()
    routed = []
    async with AsyncExitStack() as stack:
        claude = stack.enter_context(RunningSimulator())
        claude.simulator.scripted.default = lambda _: Answer("Done.")
        client = await stack.enter_async_context(aiohttp.ClientSession(trust_env=False))
        for group in rounds(rows):
            home = Home(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cgw-routing-"))) / "home")
            home.open()
            key = home.gateway_key()
            settings = Settings.model_validate(
                {
                    "anthropic_base_url": claude.url,
                    "anthropic_api_key": DEFAULT_KEY,
                    "gateway_api_key": key,
                    "rate_limit_enabled": False,
                    "prometheus_enabled": False,
                }
            )
            async with sidecar_in_process(settings, home) as (url, _):
                routed += [await _ask(client, url, key, row, catalogue) for row in group]
    return routed


async def _ask(client: aiohttp.ClientSession, url: str, key: str, row: Row, catalogue: Catalogue) -> Routed:
    headers = {**row.headers, "authorization": f"Bearer {key}"}
    async with client.post(url + row.path, json=row.body, headers=headers) as response:
        answer = await response.text()
        model = response.headers.get("x-gateway-model", "")
        told = response.headers.get("x-gateway-route", "") or (answer[:200] if response.status >= 400 else "")
    line = catalogue.card(model).line if model else None
    return Routed(row, line if line in LANES else "", told)


# --- telling


def matrix(routed: Sequence[Routed]) -> list[str]:
    counts = Counter((one.row.label, one.lane) for one in routed)
    lines = ["| label | " + " | ".join(LANES) + " | all |", "|---|" + "---:|" * (len(LANES) + 1)]
    for label in LABELS:
        cells = [counts[label, lane] for lane in LANES]
        lines.append(f"| {label} | " + " | ".join(map(str, cells)) + f" | {sum(cells)} |")
    return lines


def shares(routed: Sequence[Routed]) -> list[str]:
    rows = [f"| {label} | {Share.precision(routed, label)} | {Share.recall(routed, label)} |" for label in LABELS]
    return ["| | precision | recall |", "|---|---|---|", *rows]


def clients(routed: Sequence[Routed]) -> list[str]:
    lines = [
        "| client | requests | right | errands found | sent to Haiku by mistake | complex found |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for client in sorted({one.row.client for one in routed}):
        own = [one for one in routed if one.row.client == client]
        errands, hard = Share.recall(own, "errand"), Share.recall(own, "complex")
        wrong = sum(one.lane == "haiku" and not one.right for one in own)
        right = sum(one.right for one in own)
        cells = (len(own), right, f"{errands.hits}/{errands.of}", wrong, f"{hard.hits}/{hard.of}")
        lines.append(f"| {client} | " + " | ".join(map(str, cells)) + " |")
    return lines


def mistakes(routed: Sequence[Routed]) -> list[str]:
    return [
        f"- {one.row.id}: {one.row.label}, went to {one.lane} ({one.told})\n    {one.row.why}"
        for one in sorted(routed, key=lambda one: (LABELS.index(one.row.label), one.lane, one.row.id))
        if not one.right
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=(*HALVES, "all"), default="tuning")
    parser.add_argument("--client", help="only the requests of this one")
    parser.add_argument("--no-mistakes", action="store_true", help="figures alone")
    arguments = parser.parse_args()
    rows = [row for row in read() if arguments.half in (row.half, "all") and arguments.client in (row.client, None)]
    if not rows:
        parser.error(f"there is no request of {arguments.client} in that half")
    routed = asyncio.run(route(rows))
    for half in HALVES:
        own = [one for one in routed if one.row.half == half and one.lane]
        if not own:
            continue
        print(f"\n## {half}: {len(own)} requests, {sum(one.right for one in own)} right\n")
        for part in (matrix(own), shares(own), clients(own)):
            print("\n".join(part), end="\n\n")
        if not arguments.no_mistakes:
            print("\n".join(mistakes(own)))
    if unserved := [one for one in routed if not one.lane]:
        print(f"\n{len(unserved)} requests were answered by no model and count nowhere:")
        for one in unserved:
            print(f"- {one.row.id}: {one.told}")


if __name__ == "__main__":
    main()
