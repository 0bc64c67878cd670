"""What a command asks of the running sidecar, with the owner's key."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sidecar.commands.connecting import owners_key
from sidecar.commands.running import RunningSidecar
from sidecar.home import Home
from sidecar.user_errors import UserError

if TYPE_CHECKING:
    from sidecar.config import Settings

ANSWER_SECONDS = 70.0
"""A restart takes the longest: `running.START_SECONDS` at most."""


def ask_running(running: RunningSidecar, home: Home, settings: Settings, method: str, path: str) -> dict[str, Any]:
    """The JSON it answers with. Raises UserError, one sentence."""
    key = owners_key(home, settings)
    address = urlsplit(running.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, headers={"x-api-key": key})
        answer = connection.getresponse()
        told = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise UserError(f"The cgw at {running.url} does not answer: {error}.") from error
    finally:
        connection.close()
    if answer.status == http.client.UNAUTHORIZED:
        raise UserError(
            f"The cgw at {running.url} has another key: run this with its ADMIN_API_KEY or GATEWAY_API_KEY."
        )
    if answer.status != http.client.OK and isinstance(told, dict) and isinstance(told.get("error"), dict):
        raise UserError(str(told["error"].get("message")))
    if answer.status != http.client.OK or not isinstance(told, dict):
        raise UserError(f"The cgw at {running.url} answered {answer.status} to {path}.")
    return told
