"""A router of the user's own: a Python file with one function, `route`, that may name another model.

    def route(question):
        if question.client == "aider" and "sql" in question.words:
            return "opus"          # an alias or an id; None leaves it as it was proposed

It runs for every request whose model is cgw's to choose, but not inside a tool loop whose thinking is signed. What it
raises, and a model that nobody knows or that the project may not use, is told in the log and changes nothing.
"""

from __future__ import annotations

import importlib.util
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from sidecar.exchange import Json
from sidecar.pipeline import AddonFileError
from sidecar.routing.decide import Route

log = logging.getLogger(__name__)

FUNCTION = "route"


@dataclass(frozen=True, slots=True)
class Question:
    """What a router of the user's own is asked. Not to be changed: it is the request itself."""

    request: Json
    """As a request to Anthropic's Messages API."""
    words: str
    """The user's own newest words, in lower case: their beginning and their end."""
    client: str
    project: str
    conversation: str
    asked: str
    """The model that the client named."""
    proposal: Route
    """What the rules decided: `model`, `reason`, `lane`, `signals`, `costs`."""


Answer = str | None
OwnRouter = Callable[[Question], Answer | Awaitable[Answer]]


def load_router(path: Path) -> OwnRouter:
    """Raises AddonFileError, one sentence."""
    if not path.is_file():
        raise AddonFileError(f"--router {path}: there is no such file.")
    spec = importlib.util.spec_from_file_location(f"cgw_router_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise AddonFileError(f"--router {path}: not a Python file (its name must end in .py).")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise AddonFileError(f"--router {path}: it cannot be loaded: {type(error).__name__}: {error}") from error
    found = getattr(module, FUNCTION, None)
    if not callable(found):
        raise AddonFileError(f"--router {path}: it has no function `{FUNCTION}(question)`.")
    router: OwnRouter = found
    return router


async def ask(router: OwnRouter, question: Question) -> str | None:
    """The model it names; None for no other, and where it failed."""
    try:
        answer = router(question)
        if inspect.isawaitable(answer):
            answer = await answer
    except Exception:
        log.exception("your router failed; %s answers as the rules say", question.proposal.model)
        return None
    if answer is not None and not isinstance(answer, str):
        log.warning("your router answered %r, which is no model's name; %s answers", answer, question.proposal.model)
        return None
    return answer
