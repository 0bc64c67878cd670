"""Which request gets which step: rules first, then the queue, then the default answer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sidecar.simulator.answers import Answer, Step
from sidecar.simulator.composing import default_answer, last_words

Matches = Callable[[dict[str, Any]], bool]
Default = Callable[[dict[str, Any]], Step]


@dataclass(slots=True)
class _Rule:
    matches: Matches
    step: Step
    left: int | None


class Script:
    """Steps for the requests to come. Safe to use from any thread; `matches` functions run on the server's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[Step] = deque()
        self._rules: list[_Rule] = []
        self.default: Default = lambda request: default_answer(request, Answer())
        """Answers what nothing else is scripted for."""

    def add(self, *steps: Step) -> None:
        """The next requests get these steps, one each, in order of arrival."""
        with self._lock:
            self._queue.extend(steps)

    def when(self, matches: Matches | str, step: Step, *, times: int | None = None) -> None:
        """Requests that match (or whose newest user text holds this string) get `step`, `times` at most."""
        rule = _Rule(_holds(matches) if isinstance(matches, str) else matches, step, times)
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        with self._lock:
            self._queue.clear()
            self._rules.clear()

    @property
    def waiting(self) -> int:
        """Queued steps that no request has taken yet."""
        with self._lock:
            return len(self._queue)

    def take(self, request: dict[str, Any]) -> Step:
        """The step for this request."""
        with self._lock:
            for rule in self._rules:
                if rule.left != 0 and rule.matches(request):
                    rule.left = None if rule.left is None else rule.left - 1
                    return rule.step
            if self._queue:
                return self._queue.popleft()
        return self.default(request)


def _holds(text: str) -> Matches:
    return lambda request: text in last_words(request)
