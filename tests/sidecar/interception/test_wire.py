"""Orders and reports survive the pipe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.interception.wire import Orders, Report

ORDERS = Orders(
    key="cgw-key",
    sidecar_url="http://127.0.0.1:4343",
    port=4344,
    hosts=("api.openai.com",),
    subscriptions=False,
    authority="/home/me/ca",
    trusted="/home/me/ca/bundle.pem",
)


def test_orders_are_one_line_and_come_back_as_they_were() -> None:
    assert ORDERS.line().count(b"\n") == 1
    assert Orders.of_line(ORDERS.line()) == ORDERS


@given(st.builds(Report, st.booleans(), st.none() | st.text(min_size=1), st.none() | st.text(min_size=1)))
def test_reports_are_one_line_and_come_back_as_they_were(report: Report) -> None:
    assert report.line().count(b"\n") == 1
    assert Report.of_line(report.line()) == report


@pytest.mark.parametrize(
    "line", [b"Traceback (most recent call last):\n", b"[]\n", b'{"other": 1}\n', b"\xff\n", b"null\n", b"1\n"]
)
def test_what_is_no_report_is_a_warning(line: bytes) -> None:
    assert Report.of_line(line).warning == line.decode(errors="replace").rstrip()
