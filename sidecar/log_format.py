"""One record, one line: nothing that a client, Claude or a file name says can look like a line of its own, or move the
cursor of a terminal that shows the log.
"""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Final

LINE: Final = "%(asctime)sZ %(levelname)s %(message)s"
TIME: Final = "%Y-%m-%dT%H:%M:%S"
OUR_LOGGERS: Final = ("cgw", "sidecar", "addons")
"""These follow LOG_LEVEL; everybody else's loggers speak up at `warning`."""

CONTINUED: Final = "    | "
"""What a line of a traceback begins with, so that it is told from a record."""


class OneLine(logging.Formatter):
    """Times are UTC."""

    def __init__(self) -> None:
        super().__init__(LINE, TIME)
        self.converter = time.gmtime
        self._second = 0
        self._time = ""
        """How that second is written."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        second = int(record.created)
        if second != self._second:
            self._time = super().formatTime(record, datefmt)
            self._second = second
        return self._time

    def format(self, record: logging.LogRecord) -> str:
        """As logging's own, by a shorter way for what is only a message."""
        if record.exc_info or record.exc_text or record.stack_info:
            return super().format(record)
        return shown(f"{self.formatTime(record, TIME)}Z {record.levelname} {record.getMessage()}")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return shown(super().formatMessage(record))

    def formatException(  # noqa: N802
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        return continued(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return continued(super().formatStack(stack_info))


def speak_at(level: str) -> None:
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level.upper())


def shown(text: str) -> str:
    """`text` with everything escaped that does not simply stand there: line ends, control characters, characters
    that change the direction of writing, halves of surrogate pairs."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def continued(text: str) -> str:
    return "\n".join(CONTINUED + shown(line) for line in text.split("\n"))
