"""One line a minute about what keeps going wrong."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

EVERY_SECONDS: Final = 60.0


class Complaints:
    """Logs a warning, and then keeps quiet for a minute, whatever else there is to complain about. Thread-safe."""

    def __init__(self, log: logging.Logger) -> None:
        self._log: Final = log
        self._lock: Final = threading.Lock()
        self._quiet_until = 0.0

    def say(self, message: str, *values: object) -> None:
        with self._lock:
            now = time.monotonic()
            if now < self._quiet_until:
                return
            self._quiet_until = now + EVERY_SECONDS
        self._log.warning(message, *values)
