"""The settings as people read them: values masked, and where each came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from rich.table import Table
from rich.text import Text

from sidecar.config import Settings, environment_name, without_password
from sidecar.config_sources import LoadedSettings, Origin

UNSET = "unset"
CLEAR_TAIL = 4
"""Characters of a secret that are shown, so that two keys can be told apart."""

SHORT_SECRET = 12
"""A secret with fewer characters is not shown at all."""


@dataclass(frozen=True, slots=True)
class Row:
    field: str
    name: str
    """The environment variable, or the table of cgw.toml."""
    value: str
    plain: Any
    """For JSON: numbers and booleans stay what they are, secrets are masked."""
    origin: Origin
    description: str


def rows(loaded: LoadedSettings) -> Iterator[Row]:
    """One row a setting, in the order of the settings object."""
    for field, info in Settings.model_fields.items():
        value = getattr(loaded.settings, field)
        yield Row(
            field,
            environment_name(field) or f"[{field}]",
            shown(value),
            _plain(value),
            loaded.origins[field],
            info.description or "",
        )


def as_json(loaded: LoadedSettings) -> dict[str, Any]:
    """By field name."""
    return {row.field: {"value": row.plain, "origin": row.origin} for row in rows(loaded)}


def as_rich_table(loaded: LoadedSettings) -> Table:
    """For the terminal."""
    table = Table("Setting", "Value", "From", box=None, pad_edge=False)
    for row in rows(loaded):
        table.add_row(Text(row.name), Text(row.value), row.origin, style="bold" if row.origin != "default" else "")
    return table


def as_markdown() -> str:
    """The table of defaults for the user guide."""
    lines = ["| Name | Default | What it does |", "|---|---|---|"]
    defaults = LoadedSettings(Settings(), dict.fromkeys(Settings.model_fields, "default"), ())
    lines += [f"| `{row.name}` | `{row.value}` | {' '.join(row.description.split())} |" for row in rows(defaults)]
    return "\n".join(lines) + "\n"


def shown(value: Any) -> str:
    """A value as the user would write it."""
    match value:
        case None:
            return UNSET
        case bool():
            return str(int(value))
        case SecretStr():
            return masked(value.get_secret_value())
        case dict():
            return ", ".join(f"{name} = {shown(meant)}" for name, meant in value.items()) or "empty"
        case tuple():
            return ", ".join(map(str, value)) or "empty"
        case float():
            return f"{value:g}"
        case str():
            return without_password(value)
        case _:
            return str(value)


def masked(secret: str) -> str:
    """`sk-...last4`; of an address only the password goes."""
    if "://" in secret:
        return without_password(secret)
    if len(secret) < SHORT_SECRET:
        return "..."
    prefix, dash, _ = secret.partition("-")
    return f"{prefix + dash if dash and len(prefix) <= CLEAR_TAIL else ''}...{secret[-CLEAR_TAIL:]}"


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | dict | tuple) or value is None else shown(value)
