"""What both dialects' model lists need to know of a model."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class ListedModel(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def display_name(self) -> str: ...

    @property
    def created_at(self) -> datetime:
        """When the model was released; aware of its time zone."""
        ...

    @property
    def line(self) -> str | None:
        """`opus`, `haiku`, ...; None for a model of no line."""
        ...

    @property
    def lifecycle(self) -> str:
        """`active`, `deprecated` or `retired`."""
        ...
