"""Where settings come from: flags, then the environment, then cgw.toml, then defaults."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from sidecar.config import Settings, environment_name, without_password
from sidecar.home import Home
from sidecar.user_errors import UserError

Origin = Literal["flag", "env", "cgw.toml", "default"]


class SettingsError(UserError):
    """Settings that cannot be used; one sentence for each, with what is allowed instead."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    settings: Settings
    origins: Mapping[str, Origin]
    """Where each field's value came from."""
    warnings: tuple[str, ...]
    """What was ignored and why, one sentence each."""


class GivenValues(PydanticBaseSettingsSource):
    """Values already found, by field name."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self._values)


def load_settings(
    home: Home, flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] = os.environ
) -> LoadedSettings:
    """The user's settings; `flags` are fields given on the command line, None counts as not given.

    Raises SettingsError.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    in_environment = _from_environment(environ)
    in_file, warnings = _from_file(home)
    sources: list[tuple[Origin, Mapping[str, Any]]] = [
        ("flag", given),
        ("env", in_environment),
        ("cgw.toml", in_file),
    ]
    origins: dict[str, Origin] = {
        field: next((origin for origin, values in sources if field in values), "default")
        for field in Settings.model_fields
    }

    class OutsideSettings(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **__: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(GivenValues(settings_cls, values) for _, values in sources)

    try:
        settings = OutsideSettings()
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(problem, origins, home) for problem in error.errors())) from None
    return LoadedSettings(settings, origins, tuple(warnings))


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """An empty variable counts as unset."""
    names = {field: environment_name(field) for field in Settings.model_fields}
    return {field: value for field, name in names.items() if name and (value := environ.get(name, "").strip())}


def _from_file(home: Home) -> tuple[dict[str, Any], list[str]]:
    """Keys are fields or their environment names, in any case; unknown ones become warnings."""
    try:
        table = tomllib.loads(home.config_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}, []
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{home.config_file} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{home.config_file} is not valid TOML: {error}.") from error
    known = {
        name.lower(): field for field in Settings.model_fields for name in (field, environment_name(field) or field)
    }
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for key, value in table.items():
        if field := known.get(key.lower()):
            values[field] = value
        else:
            near = difflib.get_close_matches(key.lower(), known, n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            warnings.append(f"{home.config_file}: `{key}` is not a setting and is ignored.{hint}")
    return values, warnings


def _sentence(problem: ErrorDetails, origins: Mapping[str, Origin], home: Home) -> str:
    field, *inner = (str(part) for part in problem["loc"])
    match origins.get(field):
        case "env":
            name, where = environment_name(field), "in the environment "
        case "cgw.toml":
            name, where = ".".join((field, *inner)), f"in {home.config_file} "
        case _:
            name, where = "--" + field.replace("_", "-"), ""
    value = problem["input"]
    value = without_password(value) if isinstance(value, str) else value
    shown = "has a value that" if _is_secret(field) else f"is {value!r}, which"
    return f"{name} {where}{shown} cannot be used: it must be {_allowed(problem)}."


def _is_secret(field: str) -> bool:
    return _holds_secret(Settings.model_fields[field].annotation)


def _holds_secret(annotation: object) -> bool:
    """Whether `SecretStr` stands anywhere in it: alone, in a union, with a validator."""
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


ALLOWED = {
    "bool_parsing": "0, 1, true or false",
    "bool_type": "0, 1, true or false",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a number",
    "string_type": "text (in quotes)",
    "string_pattern_mismatch": "a date such as 2023-06-01",
    "dict_type": "a table",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "literal_error": "one of {expected}",
    "value_error": "{error}",
}
"""pydantic's error types, and what they mean to someone who has to change a value."""


def _allowed(problem: ErrorDetails) -> str:
    wording = ALLOWED.get(problem["type"], problem["msg"])
    return wording.format(**problem.get("ctx", {}))
