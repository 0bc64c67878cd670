"""What a check has to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from sidecar.exchange import Json

Severity = Literal["problem", "warning", "note", "ok"]
"""Something does not work; something costs or may soon fail; good to know; as it should be."""

SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""The gravest first."""

EXIT_CODES: Final = {"problem": 2, "warning": 1, "note": 0, "ok": 0}


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    severity: Severity
    said: str
    """One sentence."""
    fix: str | None = None
    """What to do, with the command."""
    mend: Callable[[], None] | None = field(default=None, compare=False)
    """Does it, where that is safe without asking. Raises OSError."""

    def as_json(self) -> Json:
        return {"check": self.check, "severity": self.severity, "said": self.said, "fix": self.fix}


def exit_code(findings: Iterable[Finding]) -> int:
    """0, 1 with a warning, 2 with a problem."""
    return max((EXIT_CODES[finding.severity] for finding in findings), default=0)
