"""`cgw route explain`: which model a request gets, by which signals, and what each would cost. Needs no sidecar."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sidecar.commands.terminal import console, fail, one_sentence, say, warn
from sidecar.home import Home

if TYPE_CHECKING:
    from sidecar.routing.explain import Explanation
    from sidecar.routing.rules import Table

WRONG_USAGE: Final = 2
STANDARD_INPUT: Final = "-"

route = typer.Typer(name="route", help="Smart routing: which model answers what, and why.", no_args_is_help=True)


@route.command()
def explain(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A request's JSON body, in any dialect; - is the standard input.")
    ],
    client: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who sent it; else told from its words.", show_default=False),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header that it came with.", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Asked for in its place: `auto`, `auto:fast` or `auto:best`.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.", metavar="")] = False,
) -> None:
    """Every signal, score, candidate and price of one request, as if it began a conversation."""
    from sidecar.accounts.prices import Prices
    from sidecar.config_sources import load_settings
    from sidecar.errors import GatewayError
    from sidecar.models import listing
    from sidecar.models.catalogue import Catalogue
    from sidecar.pace import Pace
    from sidecar.routing.choices import Choices
    from sidecar.routing.explain import explain as explained
    from sidecar.routing.rules import table_of

    with one_sentence():
        home = Home.locate()
        loaded = load_settings(home)
        warn(loaded.warnings)
        body, headers = _body(file), _headers(header or ())
        catalogue = Catalogue(overrides=loaded.settings.models)
        if (known := listing.load(home.models_file)) is not None:
            catalogue.update(known)
        table = table_of(loaded.settings.routing)
        pace = Pace()
        choices = Choices(
            table, catalogue, Prices(catalogue.same_line), lambda client, number: pace.of(client).further(number)
        )
        try:
            found = explained(
                body, table=table, catalogue=catalogue, choices=choices, headers=headers, client=client, model=model
            )
        except GatewayError as error:
            fail(error.message, WRONG_USAGE)
        if as_json:
            typer.echo(json.dumps(_as_json(found, table)))
        else:
            _show(found, table, on=loaded.settings.enable_smart_routing)


def _body(file: Path) -> dict[str, Any]:
    try:
        raw = sys.stdin.buffer.read() if str(file) == STANDARD_INPUT else file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.", WRONG_USAGE)
    try:
        body = json.loads(raw)
    except ValueError as error:
        fail(f"{file} is not JSON: {error}.", WRONG_USAGE)
    if not isinstance(body, dict):
        fail(f"{file} holds no JSON object: give it the body of one request.", WRONG_USAGE)
    return body


def _headers(given: list[str] | tuple[()]) -> dict[str, str]:
    headers = {}
    for line in given:
        name, colon, value = line.partition(":")
        if not colon:
            fail(f"--header {line!r}: write it as 'Name: value'.", WRONG_USAGE)
        headers[name.strip().lower()] = value.strip()
    return headers


def _as_json(found: Explanation, table: Table) -> dict[str, Any]:
    from sidecar.ledger.money import usd_text
    from sidecar.routing.rules import SCORES, points_of

    route, subject, situation = found.route, found.subject, found.situation
    return {
        "asked": found.exchange.model_asked,
        "acts": found.exchange.wish is not None,
        "wish": situation.wish,
        "client": subject.client,
        "model": route.model,
        "reason": route.reason,
        "lane": route.lane,
        "why": route.why,
        "signals": [
            {"rule": one.rule, "score": one.score, "points": one.points, "evidence": one.evidence}
            for one in route.signals
        ],
        "scores": {
            score: {"points": points_of(score, route.signals), "from": table.thresholds[score]} for score in SCORES
        },
        "prompt_tokens": situation.prompt,
        "lanes": {lane: list(models) for lane, models in situation.lanes.items()},
        "costs_usd": {model: usd_text(cost) for model, cost in route.costs},
        "comparison": None if route.trade is None else str(route.trade),
    }


def _show(found: Explanation, table: Table, *, on: bool) -> None:
    from rich.table import Table as Lines
    from rich.text import Text

    from sidecar.ledger.money import dollars
    from sidecar.routing.rules import SCORES, points_of

    route, subject, situation = found.route, found.subject, found.situation
    say(f"{route.model}  ({route.reason}{': ' + route.why if route.why else ''})")
    if not on:
        warn(["ENABLE_SMART_ROUTING is off: this is what it would do."])
    elif found.exchange.wish is None:
        asked = found.exchange.model_asked
        warn([f"It names {asked}: routing acts on that only where a project sets ROUTE_NAMED_MODELS."])
    seen = [
        f"client {subject.client}",
        f"{subject.tools} tools",
        f"{situation.prompt:,} tokens, about",
        f"{subject.chars:,} characters of the user's newest words",
    ]
    if subject.max_tokens is not None:
        seen.append(f"max_tokens {subject.max_tokens:,}")
    say(f"\nSeen: {', '.join(seen)}.")
    signals = Lines(box=None, pad_edge=False, header_style="bold")
    for heading in ("signal", "score", "points", "found"):
        signals.add_column(heading, justify="right" if heading == "points" else "left", no_wrap=heading != "found")
    for one in route.signals:
        signals.add_row(Text(one.rule), one.score, f"{one.points:+d}", Text(one.evidence))
    if route.signals:
        say("")
        console().print(signals)
    else:
        say("\nNo signal: an ordinary request.")
    scores = Lines(box=None, pad_edge=False, header_style="bold")
    for heading in ("score", "points", "counts from"):
        scores.add_column(heading, justify="left" if heading == "score" else "right", no_wrap=True)
    for score in SCORES:
        scores.add_row(score, f"{points_of(score, route.signals)}", f"{table.thresholds[score]}")
    say("")
    console().print(scores)
    prices = Lines(box=None, pad_edge=False, header_style="bold")
    for heading in ("model", "lanes", "this request", ""):
        prices.add_column(heading, justify="right" if heading == "this request" else "left", no_wrap=True)
    for model, cost in route.costs:
        lanes = ", ".join(lane for lane, models in situation.lanes.items() if models[0] == model)
        prices.add_row(Text(model), lanes, dollars(cost), "chosen" if model == route.model else "")
    say("")
    console().print(prices)
    say("Prices: nothing is warm, as at the beginning of a conversation.")
    if route.trade is not None:
        say(f"Compared: {route.trade}.")
