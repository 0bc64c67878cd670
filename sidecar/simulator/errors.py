"""The error that ends a request before it is answered."""

from __future__ import annotations


class ApiError(Exception):
    """A request that gets an HTTP error. `message` is worded as Anthropic words it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
