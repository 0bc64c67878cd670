"""`cgw` in the tests' own process: what it says and how it ends, without the second that a new Python takes.

That a process of its own says the same is what `tests/sidecar/test_cli.py` is for.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.config import Settings, environment_name

SETTING_NAMES = frozenset(name for field in Settings.model_fields if (name := environment_name(field)))


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


def cgw(*arguments: str, environ: Mapping[str, str]) -> Ran:
    """Without any setting of whoever runs the tests, and with `environ` instead."""
    clean: dict[str, str | None] = dict.fromkeys(SETTING_NAMES)
    with _log_as_it_was():
        ran = CliRunner().invoke(app, arguments, env={**clean, **environ})
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return Ran(ran.exit_code, ran.stdout, ran.stderr)


@contextmanager
def _log_as_it_was() -> Iterator[None]:
    """`cgw up` logs to where its standard error is."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
