"""Claude's events into what tells them in a dialect of OpenAI's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.sse import ServerSentEvent


def fed(feed: Callable[[Json], bytes], events: Iterable[ServerSentEvent]) -> bytes:
    """What `feed` makes of some unparsed events, together. Raises GatewayError for an event that is not JSON, or not
    what its type says."""
    try:
        return b"".join([feed(event.wire) for event in events if event.data])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise GatewayError(
            "api_error",
            "Claude's answer makes no sense: an event in it is not what its type says.",
            status=502,
            code="upstream_broken",
        ) from error
