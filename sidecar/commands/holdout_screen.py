"""What the hold-out measured, on a terminal: a table of the arms and the sentences that may be said of it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sidecar.accounts.holdout_report import ENOUGH, HoldoutReport
from sidecar.ledger.money import dollars


def holdout_screen(report: HoldoutReport) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("arm")
    for name in ("conversations", "requests", "cost", "a request"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, arm in (("with layers", report.layers), ("held out", report.holdout)):
        a_request = dollars(arm.cost_a_request) if arm.requests else "-"
        table.add_row(name, f"{arm.conversations:,}", f"{arm.requests:,}", dollars(arm.cost_picos), a_request)
    return Group(table, *map(Text, _sentences(report)))


def _sentences(report: HoldoutReport) -> Iterator[str]:
    if not report.enough:
        yield (
            f"Too few conversations to say what the layers are worth: each arm needs {ENOUGH}, and one conversation "
            "may cost a hundred times another."
        )
    elif (ends := report.interval_picos) is not None:
        low, high = (dollars(round(end)) for end in ends)
        share = f", {report.saved_percent} %" if report.saved_percent is not None else ""
        yield f"Measured: the layers save {dollars(report.saved_a_request)} a request{share}."
        sentence = f"With 95 % confidence it is between {low} and {high}"
        if (percents := report.interval_percent) is not None:
            sentence += f", or {percents.low:.1f} % and {percents.high:.1f} %"
        yield f"{sentence}."
        if ends.low <= 0 <= ends.high:
            yield "Nothing is in that range: the difference may be chance. More conversations make it narrower."
    if report.layers.requests:
        counted = dollars(report.layers.counted_saving_a_request)
        yield f"The accounts counted {counted} a request, against every request sent plainly."
    if report.arms.in_both:
        yield f"{report.arms.in_both:,} conversations were in both arms, as HOLDOUT_PERCENT changed: left out."
