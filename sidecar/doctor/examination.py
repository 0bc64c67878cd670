"""All the checks, in the order in which they are told, and how they are run: one that fails says so and stops none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from sidecar.doctor import editors, gateway, interception, machine, use
from sidecar.doctor.finding import Finding
from sidecar.doctor.scene import Scene
from sidecar.user_errors import UserError

log = logging.getLogger(__name__)

Check = Callable[[Scene], Iterable[Finding]]

CHECKS: Final[tuple[Check, ...]] = (
    machine.python,
    machine.packages,
    machine.disk,
    machine.permissions,
    machine.settings,
    machine.variables,
    gateway.root,
    gateway.sidecar,
    gateway.key,
    gateway.ledger_state,
    gateway.recording,
    interception.interceptor,
    interception.authority,
    use.models,
    use.cache_reads,
    use.budgets,
    editors.editors,
)


def examine(scene: Scene, checks: Iterable[Check] = CHECKS) -> Iterator[Finding]:
    """Blocks: files and the database are read, and ports tried."""
    for check in checks:
        name = check.__name__.replace("_", " ")
        try:
            yield from check(scene)
        except UserError as error:
            yield Finding(name, "warning", f"Could not be looked at: {error}")
        except Exception as error:
            log.debug("the check %s failed", name, exc_info=True)
            said = f"Could not be looked at ({type(error).__name__}: {error})."
            yield Finding(name, "warning", said, "Tell the authors, with `LOG_LEVEL=debug`.")
