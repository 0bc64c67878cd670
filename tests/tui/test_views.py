"""The views and what opens from them, key by key."""

from __future__ import annotations

import asyncio
import csv
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.text import Text
from textual.events import Key, Resize
from textual.strip import Strip
from textual.widgets import Input, OptionList, Static, TabbedContent, TextArea

from tests.support.dashboards import said, settled, shown, until, watching
from tests.support.told_sidecar import CENT, CONVERSATION, NOON, ROWS, ToldSidecar, row, state
from tui.app import Dashboard
from tui.request_row import RequestRow, row_from_wire
from tui.screens.conversation_detail import ConversationDetail
from tui.screens.request_detail import TABS, RequestDetail
from tui.views.overview import Overview
from tui.views.requests import CSV_COLUMNS, Requests
from tui.widgets.lines import Lines
from tui.widgets.request_table import RequestTable
from tui.widgets.stacked_plot import StackedPlot


@pytest.fixture
async def sidecar() -> AsyncIterator[ToldSidecar]:
    async with ToldSidecar() as told:
        yield told


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files are written."""
    monkeypatch.chdir(tmp_path)


def written(folder: Path, pattern: str) -> list[Path]:
    return [*folder.glob(pattern)]


# --- overview


async def test_the_overview_puts_money_first(sidecar: ToldSidecar) -> None:
    sidecar.overview["range"]["left"] = 3
    async with watching(sidecar) as (_, pilot):
        for word in ("88% of $50.00", "! web: 88%", "$0.2600: what had", "upstream    ● ok", "+$7.00"):
            await until(pilot, lambda word=word: word in shown(pilot))  # type: ignore[misc]
        screen = shown(pilot)
        assert all(title in screen for title in ("Saved today", "Saved in 7 days", "Saved this month"))
        assert "$1.53 spent of $10.65" in screen
        assert "86%" in screen
        assert "cache reads 95%" in screen
        assert "errors 2  left 3" in screen
        assert "! web: 88% of its month budget of $50.00 is spent" in screen
        assert "88% of $50.00" in screen
        assert "+$7.00" in screen
        assert "keep warm (cost)" in screen
        assert "-$0.0200" in screen
        assert "$0.2600: what had" in screen
        assert all(word in screen for word in ("upstream    ● ok", "asked again 2 times", "bodies      newest 50"))


async def test_sums_with_estimates_in_them_are_marked(sidecar: ToldSidecar) -> None:
    for sums in (sidecar.overview["today"], sidecar.overview["range"], sidecar.overview["models"][1]):
        sums["estimated"] = 1
    sidecar.overview["layers"][0]["estimated"] = 2
    sidecar.projects[0] |= {"estimated_today": 1, "estimated_month": 1}
    sidecar.conversations = [{**CONVERSATION, "estimated": 1}]
    async with watching(sidecar) as (_, pilot):
        await until(pilot, lambda: "~$1.53 spent of ~$10.65" in shown(pilot))
        assert all(told in shown(pilot) for told in ("$8.01 spent", "~+$7.00", "+$1.90", "~$0.6200", " $0.9100"))
        assert "~$8.01" not in shown(pilot)
        assert "saved ~$" in shown(pilot), "of the plot"
        for key, told in (("3", ("~$0.6100", "~+$1.40")), ("5", ("~$1.53", "~88% of $50.00", "~$160.04"))):
            await pilot.press(key)
            await until(pilot, lambda told=told: all(one in shown(pilot) for one in told))  # type: ignore[misc]


async def test_money_lost_is_called_lost(sidecar: ToldSidecar) -> None:
    sidecar.overview["today"] |= {"saved_picos": -CENT, "cost_picos": 11 * CENT, "baseline_picos": 10 * CENT}
    async with watching(sidecar) as (_, pilot):
        await until(pilot, lambda: "10% LOST" in shown(pilot))


async def test_an_open_breaker_a_warning_and_the_last_error_are_told(sidecar: ToldSidecar) -> None:
    breaker = {"name": "claude-opus-5-5", "state": "open", "failures": 12, "calls": 20}
    sidecar.state = state(
        upstream={"url": "u", "state": "down", "last_error": "529 overloaded:\r\n\ttry\nlater", "breakers": [breaker]},
        warnings=["budgets are not known"],
        interceptor={"state": "running"},
    )
    async with watching(sidecar) as (_, pilot):
        await until(pilot, lambda: "for claude-opus-5-5" in shown(pilot))
        assert all(
            word in shown(pilot)
            for word in ("breaker ! open for claude-opus-5-5", "529 overloaded", "budgets are not known")
        )
        assert "interceptor running" in shown(pilot)
        assert len(shown(pilot).splitlines()) == 40
        assert not {"\r", "\t"} & set(shown(pilot))


async def test_a_request_that_was_refused_at_the_door_is_told_for_a_while(sidecar: ToldSidecar) -> None:
    refused = {"time": NOON, "method": "POST", "path": "/v1/messages", "status": 401, "message": "The key is wrong."}
    async with watching(sidecar) as (_, pilot):
        await until(pilot, lambda: "spent" in shown(pilot))
        sidecar.tell("batch", {"refused": [refused]})
        await until(pilot, lambda: "! refused (401): POST /v1/messages: The key is wrong." in shown(pilot))


async def test_a_slow_answer_is_waited_for_and_not_asked_away(sidecar: ToldSidecar) -> None:
    """The sums are asked for again and again while requests come: a slow ledger must still get to answer."""
    async with watching(sidecar) as (app, pilot):
        view = app.query_one(Overview)
        await until(pilot, lambda: view._answer is not None and view._answer.is_finished)
        view.load()
        for _ in range(3):
            view._asked = 0.0
            view.tick()
        assert len([one for one in app.workers if one.group == "overview" and not one.is_finished]) == 1


async def test_another_range_is_asked_for_once_however_often_requests_come(sidecar: ToldSidecar) -> None:
    async with watching(sidecar) as (app, pilot):
        view = app.query_one(Overview)
        await settled(pilot)
        view.load()
        await pilot.press("left")
        answer = view._answer
        for _ in range(4):
            await asyncio.sleep(0)
            view.load()
        assert view._answer is answer or answer is None or answer.is_finished


async def test_brackets_and_clicks_change_the_range(sidecar: ToldSidecar) -> None:
    async with watching(sidecar) as (app, pilot):
        for key, span in (
            ("right_square_bracket", "6h"),
            ("right", "24h"),
            ("left_square_bracket", "6h"),
            ("left", "1h"),
        ):
            await pilot.press(key)
            assert app.query_one(Overview).span == span
        line = next(number for number, line in enumerate(shown(pilot).splitlines()) if " 7d " in line)
        await pilot.click(offset=(shown(pilot).splitlines()[line].index(" 7d ") + 1, line))
        await until(pilot, lambda: app.query_one(Overview).span == "7d")


async def test_a_sidecar_that_has_just_begun_is_shown_closely(sidecar: ToldSidecar) -> None:
    sidecar.state = state(uptime_seconds=20.0)
    async with watching(sidecar) as (app, _):
        assert app.query_one(Overview).span == "5m"


# --- requests


async def test_the_table_follows_the_newest_until_somebody_looks_at_an_older_one(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2") as (app, pilot):
        table = app.query_one(RequestTable)
        assert table.cursor_id == "req_8"
        await pilot.press("up")
        assert table.cursor_id == "req_7"
        sidecar.tell("batch", {"begun": [row(20)]})
        await until(pilot, lambda: len(table.rows) == len(ROWS) + 1)
        assert table.cursor_id == "req_7"
        for key, request in (("home", "req_0"), ("down", "req_1"), ("pagedown", "req_20"), ("end", "req_20")):
            await pilot.press(key)
            assert table.cursor_id == request
        assert table.following


async def test_what_came_since_the_last_look_does_not_read_as_left_out(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2", "p", "up") as (app, pilot):
        app.log_of_requests.put(row_from_wire(row(20)))
        await pilot.press("up")
        await pilot.pause()
        assert said(pilot, "#told") == "9 · by time"


async def test_a_running_request_ticks_and_ends(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2") as (_, pilot):
        tick = {
            "id": "req_8",
            "output_tokens": 7_777,
            "delivered_bytes": 9,
            "first_byte_ms": 5.0,
            "elapsed_ms": 9_000.0,
        }
        sidecar.tell("batch", {"ticks": [tick]})
        await until(pilot, lambda: "7.8k" in shown(pilot))
        sidecar.tell("batch", {"ended": [row(8, status=200, output_tokens=8_888)]})
        await until(pilot, lambda: "8.9k" in shown(pilot))


async def test_states_and_caches_read_without_colour(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2") as (_, pilot):
        lines = shown(pilot).splitlines()
        for sign, word in (
            ("✓", "new"),
            ("✓", "MISS"),
            ("✓", "OURS!"),
            ("✓", "HIT"),
            ("✖", "529*"),
            ("○", "left"),
            ("▶", "..."),
        ):
            assert any(line.startswith(sign) and word in line for line in lines), word


async def test_a_filter_is_in_force_while_it_is_typed_and_escape_takes_it_away(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2", "slash") as (app, pilot):
        table = app.query_one(RequestTable)
        await pilot.press(*"~m opus")
        await until(pilot, lambda: [one.id for one in table.rows] == ["req_2"])
        await until(pilot, lambda: "1 of 9" in shown(pilot))
        sidecar.tell("batch", {"begun": [row(20, model_asked="opus"), row(21)]})
        await until(pilot, lambda: [one.id for one in table.rows] == ["req_2", "req_20"])
        await pilot.press("enter")
        assert table.has_focus
        await pilot.press("escape")
        await until(pilot, lambda: len(table.rows) == len(ROWS) + 2)


async def test_going_up_to_the_first_row_fetches_older_ones_from_the_ledger(sidecar: ToldSidecar) -> None:
    sidecar.ledger = [row(number, id=f"old_{number}", time=NOON - 5_000 + number) for number in range(2_500)]
    async with watching(sidecar, "2", rows=5_000) as (app, pilot):
        log, table = app.log_of_requests, app.query_one(RequestTable)
        await until(pilot, lambda: len(log) == 1_000 + len(ROWS))
        for known in (2_000, 2_500):
            await pilot.press("home")
            at = table.cursor_id
            await until(pilot, lambda known=known: table.count == known + len(ROWS))  # type: ignore[misc]
            assert table.cursor_id == at, "the cursor stays on its request"
        assert log.rows[0].id == "old_0"
        assert [one.time for one in table.rows] == sorted(one.time for one in log)
        assert not app.more_history


@pytest.mark.parametrize("before", [("2",), ("4",), ("2", "enter")], ids=["requests", "files", "one request"])
async def test_what_is_typed_straight_after_the_slash_belongs_into_its_field(
    sidecar: ToldSidecar, before: tuple[str, ...]
) -> None:
    """A busy terminal delivers several keys at once: none of them means what it would mean in the table."""
    async with watching(sidecar, *before) as (app, pilot):
        await settled(pilot)
        for key, character in [("slash", "/"), *((one, one) for one in "top2"), ("slash", "/"), ("e", "e")]:
            app.post_message(Key(key, character))
        await until(pilot, lambda: isinstance(app.focused, Input) and app.focused.value == "top2/e")


async def test_a_filter_looks_into_the_ledger_where_it_finds_little(sidecar: ToldSidecar) -> None:
    sidecar.ledger = [row(number, id=f"old_{number}", time=NOON - 5_000 + number) for number in range(2_500)]
    sidecar.ledger[3] |= {"client": "zed"}
    async with watching(sidecar, "2", "slash", rows=5_000) as (app, pilot):
        await pilot.press(*"~t zed")
        await until(pilot, lambda: [one.id for one in app.query_one(RequestTable).rows] == ["old_3"])


async def test_a_filter_that_makes_no_sense_says_where_and_changes_nothing(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2", "slash") as (app, pilot):
        await pilot.press(*"~q")
        await until(pilot, lambda: "there is no ~q" in shown(pilot))
        app.query_one("#filter", Input).value = "web " * 300
        await until(pilot, lambda: "and this one 1,200" in shown(pilot))
        app.query_one("#filter", Input).value = "~q"
        assert len(app.query_one(RequestTable).rows) == len(ROWS)
        await pilot.press("backspace", *"s 5xx")
        await until(pilot, lambda: [one.id for one in app.query_one(RequestTable).rows] == ["req_6"])
        assert "there is no" not in shown(pilot)


async def test_columns_sort_by_key_and_by_click(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2") as (app, pilot):
        table = app.query_one(RequestTable)
        costs = lambda: [one.cost_picos for one in table.rows]  # noqa: E731
        heading = next(line for line in shown(pilot).splitlines() if "Cost" in line)
        await pilot.click(RequestTable, offset=(heading.index("Cost"), 0))
        await until(pilot, lambda: table.sorted_by == "cost down")
        await settled(pilot)
        assert costs() == sorted(costs(), reverse=True)
        await pilot.press("r")
        await settled(pilot)
        assert costs() == sorted(costs())
        sidecar.tell("batch", {"ended": [row(20, cost_picos=CENT)]})
        await until(pilot, lambda: len(table.rows) == len(ROWS) + 1)
        assert costs() == sorted(costs())
        for _ in range(20):
            if table.sorted_by == "time":
                break
            await pilot.press("s")
            await settled(pilot)
        assert table.following


async def test_a_second_click_opens_a_request(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2") as (app, pilot):
        await pilot.click(RequestTable, offset=(5, 3))
        await pilot.click(RequestTable, offset=(5, 3))
        await until(pilot, lambda: isinstance(app.screen, RequestDetail))


async def test_what_is_shown_is_exported_and_only_its_owner_reads_it(sidecar: ToldSidecar, tmp_path: Path) -> None:
    async with watching(sidecar, "2", "slash") as (app, pilot):
        await pilot.press(*"~p api", "enter")
        await until(pilot, lambda: len(app.query_one(RequestTable).rows) == 1)
        await pilot.press("e")
        await until(pilot, lambda: [*tmp_path.glob("cgw-requests-*.csv")])
    [path] = written(tmp_path, "cgw-requests-*.csv")
    [heading, line] = csv.reader(path.read_text().splitlines())
    assert tuple(heading) == CSV_COLUMNS
    assert line[heading.index("id")] == "req_2"
    assert line[heading.index("cost_picos")] == str(31 * CENT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_rows_that_went_while_the_picture_stood_still_are_not_taken_for_others(
    sidecar: ToldSidecar, tmp_path: Path
) -> None:
    async with watching(sidecar, "2", "p", rows=10) as (app, pilot):
        for number in range(1_100):
            app.log_of_requests.put(row_from_wire(row(100 + number)))
        assert app.query_one(RequestTable).rows == []
        await pilot.press("up", "home", "e")
        await until(pilot, lambda: "0 requests in" in shown(pilot))


async def test_what_changes_while_rows_are_chosen_is_not_missed_and_does_not_begin_it_anew(
    sidecar: ToldSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.widgets.request_table.SLICE_SECONDS", 0.0)
    async with watching(sidecar, "2", "p", rows=5_000) as (app, pilot):
        log, table, looked_at = app.log_of_requests, app.query_one(RequestTable), list[str]()
        log.history([row(-number) for number in range(1, 3_000)])
        log.put(row_from_wire(row(-2_999, state="running")))
        table.update_rows()
        table._generation = -1  # as after requests that came late

        def ended(one: RequestRow) -> bool:
            looked_at.append(one.id)
            return one.state == "ok"

        table.narrow(ended)
        for _ in range(100):
            if looked_at:
                break
            await asyncio.sleep(0)
        log.put(row_from_wire(row(-2_999)))
        for _ in range(1_000):
            if table._generation == log.generation:
                break
            table.update_rows()
            await asyncio.sleep(0)
        assert table._generation == log.generation
        table.update_rows()
        assert "req_-2999" in {one.id for one in table.rows}
        await settled(pilot)


async def test_a_hundred_thousand_rows_are_there_and_only_the_screens_are_drawn(
    sidecar: ToldSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = 0
    strip = RequestTable.strip

    def counted(table: RequestTable, index: int) -> Strip:
        nonlocal drawn
        drawn += 1
        return strip(table, index)

    async with watching(sidecar, "2", rows=100_000) as (app, pilot):
        log = app.log_of_requests
        for number in range(100_000 - len(log)):
            log.put(log.rows[0].named(f"old_{number}"))
        log.version += 1
        table = app.query_one(RequestTable)
        await until(pilot, lambda: len(table.rows) == 100_000)
        await settled(pilot)
        monkeypatch.setattr(RequestTable, "strip", counted)
        await pilot.press("home")
        await pilot.pause()
        assert table.cursor_id == app.log_of_requests.rows[0].id
        assert 0 < drawn < 1_000
        await pilot.press("slash", *"~m opus")
        await until(pilot, lambda: [one.id for one in table.rows] == ["req_2"])


# --- the detail of a request


async def test_every_tab_of_a_request_says_its_part(sidecar: ToldSidecar) -> None:
    words = {
        "difference": "380 tokens fewer",
        "decisions": "kept: would cost $0.12 to save $0.01",
        "cost": "cache read",
        "timing": "waiting for Claude",
        "answer": "It is in the parser.",
        "client": '"content": "Find the bug."',
        "upstream": '"model": "claude-sonnet-5-5"',
        "headers": "sk-...x7Qa",
    }
    assert set(words) == {name for name, _ in TABS}
    async with watching(sidecar, "2", "up", "enter") as (app, pilot):
        for number, (name, _) in enumerate(TABS, start=1):
            await pilot.press(str(number))
            await until(pilot, lambda name=name: app.screen.query_one(TabbedContent).active == name)  # type: ignore[misc]
            await until(pilot, lambda name=name: words[name] in shown(pilot))  # type: ignore[misc]
        await pilot.press("right")
        await until(pilot, lambda: app.screen.query_one(TabbedContent).active == "decisions")
        await pilot.press("escape")
        await until(pilot, lambda: app.view.id == "requests" and len(app.screen_stack) == 1)


async def test_why_the_cache_missed_stands_in_the_head(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2", "home", "down", "down", "down", "enter") as (_, pilot):
        await until(pilot, lambda: "cache missed" in said(pilot, "#summary"))
        assert "cache missed: 41,200 tokens, $0.2600: the system prompt changed" in said(pilot, "#summary")
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "cgw itself" in said(pilot, "#summary"))
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "the system prompt changed" in said(pilot, "#summary"))


async def test_a_request_that_runs_says_so_and_its_end_brings_the_rest(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2", "enter") as (_, pilot):
        await until(pilot, lambda: "It is still running" in shown(pilot))
        ended = row(8, status=200)
        sidecar.rows[8] = ended
        sidecar.tell("batch", {"ended": [ended]})
        await until(pilot, lambda: "kept: would cost $0.12 to save $0.01" in shown(pilot))


async def test_a_request_that_is_not_kept_any_more_says_so(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2", "up") as (_, pilot):
        sidecar.rows = []
        await pilot.press("enter")
        await until(pilot, lambda: "It is not kept any more." in shown(pilot))


async def test_a_tab_is_copied_saved_and_searched(sidecar: ToldSidecar, tmp_path: Path) -> None:
    async with watching(sidecar, "2", "up", "enter", "6") as (app, pilot):
        await pilot.press("y")
        assert '"Find the bug."' in app.clipboard
        await pilot.press("w")
        await until(pilot, lambda: [*tmp_path.glob("cgw-req_7-client-*.json")])
        await pilot.press("slash", *"content", "enter")
        await pilot.pause()
        assert app.screen.query_one("#client-text").cursor_location[0] > 0  # type: ignore[attr-defined]
        await pilot.press("slash")
        app.screen.query_one("#search", Input).value = "[/nowhere] [bold]"
        await pilot.press("enter")
        await until(pilot, lambda: "`[/nowhere] [bold]` is not in this tab" in shown(pilot))
    [path] = written(tmp_path, "cgw-req_7-client-*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_search_goes_from_place_to_place_also_in_one_line_and_where_lines_are_wrapped(
    sidecar: ToldSidecar,
) -> None:
    async with watching(sidecar, "2", "up", "enter", "5") as (app, pilot):
        screen, far = app.screen, "hay " * 1_500
        assert isinstance(screen, RequestDetail)
        screen._put("answer", Text(f"{far}Needle-one{far}needle-two {far}\nlast"))
        await pilot.press("slash", *"needle", "enter")
        await until(pilot, lambda: "Needle-one" in shown(pilot))
        for key, there, gone in (("n", "needle-two", "Needle-one"), ("n", "Needle-one", "needle-two")):
            await pilot.press(key)
            await until(pilot, lambda there=there, gone=gone: there in shown(pilot) and gone not in shown(pilot))  # type: ignore[misc]
        await pilot.press("7", "slash", *"CONTENT", "enter", "n")
        area = app.screen.query_one("#upstream-text", TextArea)
        await until(pilot, lambda: area.selected_text == "content")


async def test_what_is_said_of_one_request_never_stands_under_the_head_of_another(
    sidecar: ToldSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(sidecar, "2", "up", "enter", "6") as (app, pilot):
        asked, slow = app.client.get, asyncio.Event()

        async def get(path: str, shape: object) -> object:
            await slow.wait()
            return await asked(path, shape)

        monkeypatch.setattr(app.client, "get", get)
        await pilot.press("left_square_bracket", "y")
        await until(pilot, lambda: "0 characters copied" in shown(pilot))
        slow.set()
        await until(pilot, lambda: "Find the bug." in shown(pilot))


async def test_a_folder_that_is_gone_is_told(sidecar: ToldSidecar, tmp_path: Path) -> None:
    async with watching(sidecar, "2", "up", "enter") as (_, pilot):
        tmp_path.rmdir()  # noqa: ASYNC240 -- takes no time
        await pilot.press("w")
        await until(pilot, lambda: "The file cannot be written" in shown(pilot))


async def test_a_request_is_sent_again_only_by_who_says_yes(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2", "up", "enter") as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "It costs money" in shown(pilot))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, RequestDetail))
        assert sidecar.asked == []
        await pilot.press("r")
        await until(pilot, lambda: not isinstance(app.screen, RequestDetail))
        await pilot.press("y")
        await until(pilot, lambda: "Sent as req_again" in shown(pilot))
    assert [(method, path) for method, path, _ in sidecar.asked] == [("POST", "exchanges/req_7/replay")]


async def test_keys_of_the_views_do_nothing_on_a_request(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2", "up", "enter", "b", "p", "c", "e") as (app, _):
        assert isinstance(app.screen, RequestDetail)
        assert not app.paused
    assert sidecar.asked == []


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        (("2", "up"), "#card"),
        (("2", "up", "enter"), "#summary"),
        (("2", "up", "enter"), "#decisions-text"),
        (("3", "enter"), "#misses"),
        (("6",), "#findings"),
    ],
)
async def test_texts_take_the_colours_of_another_theme(sidecar: ToldSidecar, keys: tuple[str, ...], where: str) -> None:
    def looks(app: Dashboard) -> str:
        return str(getattr(app.screen.query_one(where, Static).content, "spans", ""))

    async with watching(sidecar, *keys) as (app, pilot):
        await until(pilot, lambda: "#" in looks(app))
        before = looks(app)
        await pilot.press("t")
        await until(pilot, lambda: looks(app) != before)


# --- conversations, files, projects, findings


async def test_a_short_terminal_has_its_lines_for_the_turns(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "3", "enter", size=(80, 24)) as (app, pilot):
        await until(pilot, lambda: app.screen.query_one(Lines).count == 6)
        await until(pilot, lambda: not app.screen.query_one(StackedPlot).size.height)


async def test_a_project_without_a_key_of_its_own_is_sorted_too(sidecar: ToldSidecar) -> None:
    sidecar.projects.append({**sidecar.projects[0], "name": "default", "key_last4": None, "rpm": None})
    async with watching(sidecar, "5") as (app, pilot):
        await until(pilot, lambda: app.view.query_one(Lines).count == 2)
        for by in ("project", "key", "today", "spent today", "this month", "saved", "a minute"):
            await pilot.press("s")
            await until(pilot, lambda by=by: f"by {by}" in shown(pilot))  # type: ignore[misc]


async def test_a_conversation_tells_its_misses_what_cgw_caused_first(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "3") as (app, pilot):
        await until(pilot, lambda: "! 1 ours, 2" in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConversationDetail))
        await until(pilot, lambda: "miss," in said(pilot, "#misses"))
        first, second = said(pilot, "#misses").splitlines()
        assert first.startswith("! ")
        assert "cgw itself: 41,200 tokens, $0.2600" in first
        assert "the system prompt changed at character 1,204: `Today is Monday`" in second
        assert app.screen.query_one(Lines).count == 6
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RequestDetail))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)


async def test_turns_have_their_number_in_the_whole_conversation(
    sidecar: ToldSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONVERSATION, "turns", 1_506)
    async with watching(sidecar, "3", "enter") as (_, pilot):
        await until(pilot, lambda: "1,506 turns, the newest 6 of them here" in said(pilot, "#head"))
        await until(pilot, lambda: "turn 1,501" in shown(pilot) and "turn 1,506" in shown(pilot))


async def test_a_conversation_of_which_claude_counted_nothing_has_no_plot(sidecar: ToldSidecar) -> None:
    """All of it came from the cache, or failed."""
    sidecar.rows = [{**row(1), "input_tokens": 0, "cache_read_tokens": 0, "cache_write_tokens": 0, "cache": "HIT"}]
    async with watching(sidecar, "3", "enter") as (app, pilot):
        await until(pilot, lambda: app.screen.query_one(Lines).count == 1)
        await until(pilot, lambda: not app.screen.query_one(StackedPlot).size.height)


async def test_a_table_that_had_nothing_to_show_is_as_wide_as_its_words(sidecar: ToldSidecar) -> None:
    async with watching(sidecar) as (app, pilot):
        sidecar.conversations = []
        await pilot.press("3")
        await until(pilot, lambda: "No conversations yet" in shown(pilot))
        await pilot.pause()
        assert isinstance(app.focused, Lines)  # else the view would not hear its keys
        sidecar.conversations = None
        await pilot.press("r")
        await until(pilot, lambda: app.view.query_one(Lines).count == 2)
        await until(pilot, lambda: "$0.6100" in shown(pilot))


class ToldEarly(Lines):
    """Its lines come when it has a size, and before it has heard of that."""

    def on_resize(self, event: Resize) -> None:
        self.tell([("Name", False)], [[("told early", "")]], 0)


async def test_a_table_that_is_told_before_it_hears_of_its_size_is_drawn(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "3") as (app, pilot):
        app.view.query_one(Lines).display = False
        await app.view.mount(ToldEarly())
        await until(pilot, lambda: "told early" in shown(pilot))


async def test_a_request_leads_to_its_conversation(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2", "up", "enter", "v") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ConversationDetail))


async def test_a_table_is_sorted_narrowed_and_exported(sidecar: ToldSidecar, tmp_path: Path) -> None:
    async with watching(sidecar, "3") as (app, pilot):
        table = app.view.query_one(Lines)
        await until(pilot, lambda: table.count == 2)
        await pilot.press("slash", *"cline", "enter")
        await until(pilot, lambda: table.count == 1)
        await pilot.press("e")
        await until(pilot, lambda: [*tmp_path.glob("cgw-conversations-*.csv")])
        with written(tmp_path, "cgw-conversations-*.csv")[0].open(encoding="utf-8") as file:
            [line] = csv.DictReader(file)
        assert int(line["cost_picos"]) > CENT  # a column `Cost` would be taken for dollars
        await pilot.press("escape")
        await until(pilot, lambda: table.count == 2)
        await pilot.press("s")
        await until(pilot, lambda: "by last" in shown(pilot))
        await pilot.press("r")
        await settled(pilot)
        assert not app.view.query_one(Input).value


async def test_files_tell_what_was_sent_again_and_what_that_saved(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "4") as (_, pilot):
        await until(pilot, lambda: "src/parser.py" in shown(pilot))
        line = next(line for line in shown(pilot).splitlines() if "src/parser.py" in line)
        assert all(word in line for word in ("3.8k", "15", "52.6k", "49.6k"))


async def test_a_switch_of_a_project_goes_on_off_and_back(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "5") as (app, pilot):
        await until(pilot, lambda: "88%" in shown(pilot))
        assert "! " in next(line for line in shown(pilot).splitlines() if "88%" in line)
        assert app.view.query_one(OptionList).option_count == 2
        for _ in range(3):
            asked = len(sidecar.asked)
            await pilot.press("space")
            await until(pilot, lambda asked=asked: len(sidecar.asked) > asked)  # type: ignore[misc]
            await settled(pilot)
        assert [content["switches"] for _, _, content in sidecar.asked] == [
            {"enable_response_cache": True},
            {"enable_response_cache": False},
            {"enable_response_cache": None},
        ]
        await pilot.press("tab", "down", "space")
        await settled(pilot)
        assert sidecar.asked[-1][2] == {"switches": {"enable_smart_routing": None}}


async def test_findings_are_told_gravest_first_with_what_to_do(sidecar: ToldSidecar, tmp_path: Path) -> None:
    async with watching(sidecar, "6") as (_, pilot):
        await until(pilot, lambda: "Python" in said(pilot, "#findings"))
        told = said(pilot, "#findings")
        assert told.index("There is no key.") < told.index("Others may read it.") < told.index("Python")
        assert "→ `cgw doctor --fix`." in told
        await pilot.press("r", "e")
        await until(pilot, lambda: [*tmp_path.glob("cgw-doctor-*.csv")])


async def test_where_nothing_can_be_filtered_or_exported_the_keys_say_so(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "slash", "e") as (_, pilot):
        await until(pilot, lambda: "nothing to filter" in shown(pilot))
        await until(pilot, lambda: "no table to export" in shown(pilot))


async def test_a_folder_that_cannot_be_written_is_told(sidecar: ToldSidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise OSError("no room")

    async with watching(sidecar, "2") as (_, pilot):
        monkeypatch.setattr("tui.csv_file.write", refuses)
        await pilot.press("e")
        await until(pilot, lambda: "cannot be written: no room" in shown(pilot))


def test_the_requests_view_exports_what_rows_have() -> None:
    assert Requests.HINT
    assert set(CSV_COLUMNS) <= {*row(1)}
