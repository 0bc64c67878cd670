"""Python files of the user's own: addons and a router. Whatever is wrong with one is a sentence that names it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Literal

from sidecar.user_errors import UserError


class UserFileError(UserError):
    """A file that cannot be used; the message names the option and the file."""


@contextmanager
def loaded(option: Literal["addon", "router"], path: Path) -> Iterator[ModuleType]:
    """The file's module, for a block that takes from it what it needs. Raises UserFileError, also for what its code
    raises in the block, SystemExit included."""
    told = f"--{option} {path}"
    if not path.is_file():
        raise UserFileError(f"{told}: there is no such file.")
    spec = importlib.util.spec_from_file_location(f"cgw_{option}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserFileError(f"{told}: not a Python file (its name must end in .py).")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        yield module
    except UserFileError:
        raise
    except (Exception, SystemExit) as error:
        raise UserFileError(f"{told}: it cannot be loaded: {type(error).__name__}: {error}") from error
