"""A project: who may spend how much on what. Values only; `project_store` keeps them, `directory` serves them."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Final

from sidecar.errors import GatewayError
from sidecar.home import KEY_PREFIX
from sidecar.models.catalogue import ModelCard
from sidecar.projects.policy import FREE, SWITCHES, Policy

DEFAULT: Final = "default"
"""The project of the gateway key itself. It always exists."""

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

LARGEST: Final = 10**15
"""Of any limit: what a database holds, and a billion dollars."""

WARN_PERCENT: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One project as its owner set it up. Raises ValueError, one sentence, for what no project can be."""

    name: str
    rpm: int | None = None
    """Requests a minute. None: the gateway's RATE_LIMIT_RPM. 0: no limit."""
    tpm: int | None = None
    """Tokens a minute, those read from the prompt cache not counted. None: no limit."""
    daily_budget: int | None = None
    """Micro-dollars a UTC day. None: no limit."""
    monthly_budget: int | None = None
    """Micro-dollars a UTC month. None: no limit."""
    warn_percent: int = WARN_PERCENT
    """Of a budget: from here on answers carry a warning."""
    policy: Policy = FREE
    created_at: datetime | None = None
    """None for a `default` that nobody ever changed."""
    key_last4: str | None = None
    """The end of its key, to tell keys apart by. None for `default`: its key is the gateway's."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} cannot be a project's name: lower case letters, digits, - and _, at most 64, "
                "the first a letter or digit."
            )
        for limit in ("rpm", "tpm", "daily_budget", "monthly_budget"):
            value = getattr(self, limit)
            if value is not None and not 0 <= value <= LARGEST:
                raise ValueError(f"{limit} cannot be {value}.")
        if self.tpm == 0:
            raise ValueError("tpm cannot be 0: nothing could be asked.")
        if not 0 < self.warn_percent <= 100:
            raise ValueError(f"A warning at {self.warn_percent} % of the budget cannot be: it is 1 to 100.")
        for setting in self.policy.switches:
            if setting not in SWITCHES:
                raise ValueError(f"`{setting}` is no setting of a project's own: those are {', '.join(SWITCHES)}.")

    @property
    def has_budget(self) -> bool:
        return self.daily_budget is not None or self.monthly_budget is not None


@dataclass(frozen=True, slots=True)
class StoredProject:
    """A project with what its key is recognised by."""

    project: Project
    key_sha256: str | None


def new_key() -> str:
    """A key of 256 random bits, in the form of the gateway's own."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def fingerprint(key: str) -> str:
    """What is kept of a key: it has too many random bits to be found again from this."""
    return sha256(key.encode()).hexdigest()


def micros_of_usd(written: str) -> int:
    """`12.50`, `$3` or `0.001` in micro-dollars. Raises ValueError, one sentence, for anything else."""
    try:
        micros = Decimal(written.strip().removeprefix("$")).scaleb(6)
    except InvalidOperation:
        micros = Decimal("NaN")
    if not micros.is_finite() or micros != micros.to_integral_value() or micros < 0:
        raise ValueError(f"{written!r} is no amount of dollars: write it as 25 or 0.50, to the micro-dollar at most.")
    return int(micros)


def check_model(project: str, policy: Policy, card: ModelCard) -> None:
    """Raises GatewayError (403) for a model that the project may not use."""
    if not policy.allows(card.id, card.line):
        raise GatewayError(
            "permission_error",
            f"Project `{project}` may not use {card.id}, {_allowed(policy)}.",
            param="model",
            code="model_not_allowed",
        )


def _allowed(policy: Policy) -> str:
    only = f"only {', '.join(policy.models)}" if policy.models else "but others"
    return f"{only} except {', '.join(policy.denied)}" if policy.denied else only
