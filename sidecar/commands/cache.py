"""`cgw cache`: the answers that are kept for requests that come again.

Where a sidecar runs it is asked, since it has the newest answers in memory; where none does, the store itself is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from sidecar.commands.terminal import console, fail, one_sentence, say, warn
from sidecar.home import Home

if TYPE_CHECKING:
    from sidecar.config import Settings
    from sidecar.replies.replies import Replies
    from sidecar.replies.reply import Reply

LISTED = 20

cache = typer.Typer(name="cache", help="Answers that are kept for requests that come again.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]


@cache.command()
def stats(as_json: AsJson = False) -> None:
    """How many answers are kept, of which project and how old."""
    with _settings() as (home, settings):
        told = _asked(home, settings, "GET", "/admin/cache")
        if told is None:
            from sidecar.replies.summary import summary

            with _kept(home, settings) as replies:
                told = summary(replies.all(), time.time())
        if as_json:
            typer.echo(json.dumps(told))
        else:
            _show_stats(told)


@cache.command()
def clear(
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Only the answers of this project.")] = None,
    as_json: AsJson = False,
) -> None:
    """Forget the kept answers; those in a Redis are a whole team's."""
    with _settings() as (home, settings):
        told = _asked(home, settings, "DELETE", "/admin/cache" + (f"?project={quote(project)}" if project else ""))
        if told is None:
            with _kept(home, settings) as replies:
                told = {"cleared": replies.clear(project)}
        if as_json:
            typer.echo(json.dumps(told))
        else:
            say(f"Forgot {_answers(told['cleared'])}.")


@cache.command()
def get(
    key: Annotated[
        str | None, typer.Argument(help="As X-Gateway-Cache-Key had it; without one, the newest are listed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one kept answer, or list the newest."""
    with _settings() as (home, settings), _kept(home, settings) as replies:
        if key is None:
            _list(replies, as_json=as_json)
        elif (reply := replies.get(key)) is None:
            fail(f"No answer is kept under {key}: `cgw cache get` lists those that are.")
        else:
            _show(reply, as_json=as_json)


@contextmanager
def _settings() -> Iterator[tuple[Home, Settings]]:
    with one_sentence():
        from sidecar.config_sources import load_settings

        home = Home.locate()
        loaded = load_settings(home)
        warn(loaded.warnings)
        home.open()
        yield home, loaded.settings


@contextmanager
def _kept(home: Home, settings: Settings) -> Iterator[Replies]:
    from sidecar.replies.replies import NAMESPACE, SIZE_LIMIT_BYTES, Replies
    from sidecar.store.shelves import Shelves

    shelves = Shelves(home, settings.redis_url.get_secret_value() if settings.redis_url else None)
    try:
        yield Replies(shelves(NAMESPACE, SIZE_LIMIT_BYTES))
    finally:
        shelves.close()


def _asked(home: Home, settings: Settings, method: str, path: str) -> dict[str, Any] | None:
    """What the running sidecar says; None where none runs."""
    from sidecar.commands.admin_request import ask_running
    from sidecar.commands.running import find

    running = find(home)
    return ask_running(running, home, settings, method, path) if running is not None else None


def _show_stats(told: dict[str, Any]) -> None:
    if not told["entries"]:
        say("No answer is kept.")
    else:
        oldest = _duration(told["oldest_seconds"])
        say(f"{_answers(told['entries'])} kept, {_size(told['bytes'])}, the oldest for {oldest}.")
        for project, of_it in told["projects"].items():
            say(f"  {project}: {of_it['entries']:,}, {_size(of_it['bytes'])}")
    if (counts := told.get("since_start")) is not None:
        say(
            f"Since the start: {counts['hits']:,} hits, {counts['misses']:,} misses, {counts['stored']:,} stored, "
            f"{counts['corrupt']:,} damaged and thrown away."
        )


def _list(replies: Replies, *, as_json: bool) -> None:
    from sidecar.replies.summary import described

    now = time.time()
    fresh = (described(reply, now) for reply in replies.all() if reply.is_fresh(now))
    newest = sorted(fresh, key=lambda one: one["age_seconds"])[:LISTED]
    if as_json:
        typer.echo(json.dumps(newest))
        return
    if not newest:
        say("No answer is kept.")
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("key", "project", "model", "size", "age", "ends in"):
        table.add_column(heading, no_wrap=True, justify="right" if heading in {"size", "age", "ends in"} else "left")
    for one in newest:
        times = (_duration(one["age_seconds"]), _duration(one["expires_in_seconds"]))
        table.add_row(one["key"], one["project"], one["model"], _size(one["bytes"]), *times)
    console().print(table)


def _show(reply: Reply, *, as_json: bool) -> None:
    from sidecar.replies.reply import CorruptReplyError
    from sidecar.replies.summary import described

    try:
        message = reply.message()
    except CorruptReplyError as error:
        fail(f"The answer kept under {reply.key} is damaged: {error}.")
    told = described(reply, time.time())
    if as_json:
        typer.echo(json.dumps({**told, "message": message}))
        return
    say(
        f"{told['model']} for project {told['project']}, {_size(told['bytes'])}, {_duration(told['age_seconds'])} old, "
        f"ends in {_duration(told['expires_in_seconds'])} ({told['stop_reason']})."
    )
    typer.echo(_printable(json.dumps(message["content"], indent=2, ensure_ascii=False)))


def _printable(text: str) -> str:
    """What Claude wrote must not steer a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else f"\\u{ord(letter):04x}" for letter in text)


def _answers(count: int) -> str:
    return f"{count:,} answer{'' if count == 1 else 's'}"


def _size(size: int) -> str:
    return f"{size / 2**20:,.1f} MB" if size >= 2**20 else f"{size / 2**10:,.1f} KB"


def _duration(seconds: int) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
