"""What the user is told of the interceptor: at the start who pays, later how it is doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sidecar.interception.wire import LISTEN_HOST

if TYPE_CHECKING:
    from sidecar.config import Settings

WHO_PAYS = "Claude answers what is asked of {hosts}, and your Anthropic API key pays for it."
SUBSCRIPTION_PAYS = (
    "Requests with a Claude subscription's token (sk-ant-oat...) go on to Anthropic unchanged, and it pays for them."
)
KEY_PAYS_FOR_ALL = (
    "INTERCEPT_SUBSCRIPTIONS is on: your API key also pays for requests that a Claude subscription would have paid for."
)


def welcome(settings: Settings) -> str:
    """Lines for the start: where it listens, and who pays for what comes through it."""
    where = f"http://{LISTEN_HOST}:{settings.intercept_port}" if settings.intercept_port else "a free port"
    rows = (
        f"The interceptor comes up on {where}: start a program through it with `cgw run --intercept -- PROGRAM`.",
        WHO_PAYS.format(hosts=" and ".join(settings.intercept_hosts)),
        KEY_PAYS_FOR_ALL if settings.intercept_subscriptions else SUBSCRIPTION_PAYS,
    )
    return "\n".join(rows)


def state_line(told: Mapping[str, Any]) -> str | None:
    """From the `interceptor` of a sidecar's `/health`: its state, and what its user should know since. None where
    nobody asked for one.
    """
    state = told.get("state", "off")
    if state == "off":
        return None
    line = f"Interceptor: {state} at {told.get('url')} for {', '.join(told.get('hosts') or ())}"
    if error := told.get("error"):
        line += f" ({error})"
    warning = told.get("warning")
    return f"{line}.\n{warning}" if warning else f"{line}."
