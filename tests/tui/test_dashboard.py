"""The dashboard's shell and its keys, driven by Textual's pilot in front of a real HTTP server."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.console import Console
from textual.widgets import Button, Input

from tests.support.dashboards import CONNECT, settled, shown, until, watching
from tests.support.told_sidecar import KEY, VERSION, ToldSidecar, row, state
from tui.app import Dashboard
from tui.themes import THEMES
from tui.views import VIEWS, View
from tui.widgets.banner import Banner
from tui.widgets.key_bar import KeyBar
from tui.widgets.top_bar import TopBar


@pytest.fixture
async def sidecar() -> AsyncIterator[ToldSidecar]:
    async with ToldSidecar() as told:
        yield told


async def test_a_number_shows_a_view(sidecar: ToldSidecar) -> None:
    async with watching(sidecar) as (app, pilot):
        for number, view in enumerate(VIEWS, start=1):
            await pilot.press(str(number))
            await until(pilot, lambda view=view: app.view.id == view.id)  # type: ignore[misc]


async def test_a_click_on_a_key_in_the_last_line_presses_it(sidecar: ToldSidecar) -> None:
    async with watching(sidecar) as (app, pilot):
        keys = shown(pilot).splitlines()[-1]
        await pilot.click(KeyBar, offset=(keys.index("Pause"), 0))
        await until(pilot, lambda: app.paused)


async def test_a_click_on_a_name_shows_its_view(sidecar: ToldSidecar) -> None:
    async with watching(sidecar) as (app, pilot):
        await pilot.click(TopBar, offset=(shown(pilot).splitlines()[0].index("Requests"), 0))
        await until(pilot, lambda: app.view.id == "requests")


async def test_the_first_line_tells_how_claude_and_the_sidecar_are(sidecar: ToldSidecar) -> None:
    async with watching(sidecar) as (_, pilot):
        first = shown(pilot).splitlines()[0]
        assert "Claude ok" in first
        assert "up 1 h 02 min" in first
        sidecar.tell("state", state(upstream={**state()["upstream"], "state": "down"}, ledger={"state": "down"}))
        await until(pilot, lambda: "Claude down" in shown(pilot))
        assert "ledger down" in shown(pilot).splitlines()[0]


async def test_with_nothing_to_show_it_says_how_to_connect_a_tool_exactly_as_given(sidecar: ToldSidecar) -> None:
    sidecar.rows = []
    for span in ("today", "week", "month", "range"):
        sidecar.overview[span]["requests"] = 0
    async with watching(sidecar) as (_, pilot):
        await settled(pilot)
        assert CONNECT in shown(pilot)
        sidecar.tell("batch", {"begun": [row(1)]})
        await until(pilot, lambda: CONNECT not in shown(pilot))


async def test_a_lost_sidecar_is_told_the_picture_stays_and_it_comes_back(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2") as (app, pilot):
        await sidecar.stop()
        await until(pilot, lambda: app.lost)
        await pilot.pause()
        assert "does not answer" in shown(pilot)
        assert "opus" in shown(pilot)
        sidecar.instance = "second"
        sidecar.rows[8:] = [row(20, client="zed")]
        await pilot.press("slash")
        await sidecar.start()
        await until(pilot, lambda: not app.lost)
        await until(pilot, lambda: "zed" in shown(pilot))
        assert "does not answer" not in shown(pilot)
        assert isinstance(app.focused, Input), "who types a filter goes on typing"
        ended = app.log_of_requests.get("req_8")
        assert ended is not None
        assert ended.state == "unseen", "what ran when it was lost does not run for ever"


async def test_a_sidecar_of_another_version_is_shown_as_far_as_it_goes_and_named(sidecar: ToldSidecar) -> None:
    sidecar.version = "8.0"
    for one in sidecar.rows:
        one |= {"shoe_size": 43}
        del one["via"], one["saved_picos"]
    del sidecar.state["running"], sidecar.state["warnings"]
    for span in ("today", "range"):
        del sidecar.overview[span]["retries"]
    sidecar.rows[0]["state"] = "pondering"
    async with watching(sidecar) as (app, pilot):
        sidecar.tell("weather", {"rain": True})
        await until(pilot, lambda: "$1.53 spent" in shown(pilot))
        told = " ".join(str(app.query_one(Banner).content).split())
        assert "The sidecar is cgw 8.0, this dashboard is cgw 9.9" in told
        assert "(hello.rows.saved_picos, ...)" in told
        assert "`cgw restart`" in told
        await pilot.press("2")
        await until(pilot, lambda: "claude-opus-5-5" in shown(pilot) or "opus-5-5" in shown(pilot))
        assert not app.lost
        sidecar.tell("batch", {"begun": [{"id": "req_50", "client": "zed"}], "ticks": 7})
        await until(pilot, lambda: "zed" in shown(pilot))


async def test_a_wrong_key_is_told_in_the_sidecars_own_words(sidecar: ToldSidecar) -> None:
    app = Dashboard(sidecar.url, "another", "", version=VERSION)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "The key is another one." in str(app.query_one(Banner).content))


async def test_pause_keeps_the_picture_and_shows_what_came_meanwhile_afterwards(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2", "p") as (app, pilot):
        assert "PAUSED" in shown(pilot)
        sidecar.tell("batch", {"begun": [row(30, client="zed")]})
        await until(pilot, lambda: app.log_of_requests.get("req_30"))
        app._tick()
        await pilot.pause()
        assert "zed" not in shown(pilot)
        await pilot.press("p")
        await until(pilot, lambda: "zed" in shown(pilot))


async def test_bypass_is_turned_on_and_off_and_cannot_be_overlooked(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "b") as (_, pilot):
        await until(pilot, lambda: "BYPASS" in shown(pilot))
        await pilot.press("b")
        await until(pilot, lambda: "BYPASS" not in shown(pilot))
    assert [content for _, _, content in sidecar.asked] == [{"on": True}, {"on": False}]


async def test_m_keeps_no_bodies_and_as_many_as_before_again(sidecar: ToldSidecar) -> None:
    sidecar.state = state(keeps_bodies=7)
    async with watching(sidecar, "m") as (_, pilot):
        await until(pilot, lambda: "No bodies are kept any more" in shown(pilot))
        await pilot.press("m")
        await until(pilot, lambda: "newest 7 requests are kept" in shown(pilot))
    assert [(path, content) for _, path, content in sidecar.asked] == [("bodies", {"keep": 0}), ("bodies", {"keep": 7})]


async def test_the_cache_is_cleared_only_by_who_says_yes(sidecar: ToldSidecar) -> None:
    async with watching(sidecar) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert sidecar.asked == []
        await pilot.press("c")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("y")
        await until(pilot, lambda: "3 answers forgotten" in shown(pilot))
    assert [(method, path) for method, path, _ in sidecar.asked] == [("DELETE", "cache")]


async def test_views_that_nobody_looked_at_are_made_meanwhile_and_hidden(sidecar: ToldSidecar) -> None:
    async with watching(sidecar) as (app, pilot):
        for _ in VIEWS:
            app._mount_unseen()
            await pilot.pause()
        assert [view.id for view in app.query(View)] == [view.id for view in VIEWS]
        assert [view.id for view in app.query(View) if view.display] == ["overview"]
        await pilot.press("6")
        await until(pilot, lambda: "There is no key." in shown(pilot))


async def test_every_theme_comes_by_and_says_its_name(sidecar: ToldSidecar) -> None:
    async with watching(sidecar) as (app, pilot):
        seen = [app.theme]
        for _ in THEMES:
            await pilot.press("t")
            await pilot.pause()
            seen.append(app.theme)
    assert seen == [*(theme.name for theme in THEMES), THEMES[0].name]


async def test_the_theme_that_was_chosen_is_there_the_next_time(sidecar: ToldSidecar, tmp_path: Path) -> None:
    file = tmp_path / "theme"
    app = Dashboard(sidecar.url, KEY, "", version=VERSION, theme_file=file)
    async with app.run_test() as pilot:
        await pilot.press("t", "t")
    assert Dashboard(sidecar.url, KEY, "", version=VERSION, theme_file=file).theme == app.theme == THEMES[2].name
    file.write_bytes(b"\xff no theme")
    assert Dashboard(sidecar.url, KEY, "", version=VERSION, theme_file=file).theme == THEMES[0].name


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({"NO_COLOR": "1"}, "cgw-no-colour"),
        ({"CGW_THEME": "light"}, "cgw-light"),
        ({"CGW_THEME": "x"}, "cgw-dark"),
        ({"COLORFGBG": "0;15"}, "cgw-light"),
        ({"COLORFGBG": "15;0"}, "cgw-dark"),
        ({"COLORFGBG": "0;15", "CGW_THEME": "dark"}, "cgw-dark"),
    ],
)
async def test_the_environment_chooses_the_first_theme(
    environ: dict[str, str], theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "CGW_THEME", "COLORFGBG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert Dashboard("http://127.0.0.1:9", KEY, "", version=VERSION).theme == theme


async def test_help_lists_every_key_and_the_filter(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "2", "question_mark") as (app, pilot):
        assert len(app.screen_stack) == 2
        console = Console(width=100, record=True, file=io.StringIO())
        for _, content in app.screen._sections():  # type: ignore[attr-defined]
            console.print(content)
        told = console.export_text()
        assert all(
            word in told for word in ("Bypass", "Pause", "Quit", "Export", "~m TEXT", "OURS!", "Command palette")
        )
        assert "Delete left" not in told
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)


async def test_help_lists_the_keys_that_all_tables_share(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "3", "question_mark") as (app, _):
        console = Console(width=100, record=True, file=io.StringIO())
        for _, content in app.screen._sections():  # type: ignore[attr-defined]
            console.print(content)
        told = console.export_text()
        assert all(word in told for word in ("Sort back", "Reload", "Page down", "Open"))


async def test_the_palette_has_every_view_and_every_key(sidecar: ToldSidecar) -> None:
    async with watching(sidecar) as (app, _):
        names = {command.title for command in app.get_system_commands(app.screen)}
    assert {view.title for view in VIEWS} <= names
    assert {"Pause", "Bypass", "Quit", "Theme", "Export"} <= names


async def test_q_ends_a_dashboard_that_only_watches(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, "q") as (app, pilot):
        await pilot.pause()
    assert app.return_value == "stop"


@pytest.mark.parametrize(("answer", "ending"), [("s", "stop"), ("l", "leave"), ("enter", "leave")])
async def test_a_dashboard_that_owns_its_sidecar_asks_what_becomes_of_it(
    sidecar: ToldSidecar, answer: str, ending: str
) -> None:
    async with watching(sidecar, owns_sidecar=True) as (app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        assert "1 answers are on their way" in shown(pilot)
        await pilot.press(answer)
        await pilot.pause()
    assert app.return_value == ending


async def test_who_thinks_again_stays(sidecar: ToldSidecar) -> None:
    async with watching(sidecar, owns_sidecar=True) as (app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.click("#stay")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert app.is_running
        assert not app.query(Button)


async def test_what_a_tool_wrote_cannot_steer_the_terminal(sidecar: ToldSidecar) -> None:
    sidecar.rows.append(row(40, client="\x1b[2Jevil\u0007\x9b", project="[bold red]x[/]"))
    async with watching(sidecar, "2") as (app, pilot):
        assert "\x1b" not in shown(pilot)
        assert "[bold re" in shown(pilot)
        assert json.dumps(app.log_of_requests.rows[-1].client).count("\\u001b") == 0


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (40, 10), (4, 3)])
async def test_every_view_is_drawn_at_every_size(sidecar: ToldSidecar, size: tuple[int, int], tmp_path: Path) -> None:
    async with watching(sidecar, size=size) as (app, pilot):
        for number in range(1, len(VIEWS) + 1):
            await pilot.press(str(number))
            await settled(pilot)
            assert app.view.id == VIEWS[number - 1].id
            assert all(len(line) <= size[0] for line in shown(pilot).splitlines())
