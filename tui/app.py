"""The dashboard: one running sidecar, watched live. It knows the sidecar only through HTTP, so that it can attach to
any, and so that a blocked screen never slows a request.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from textual import work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Input

from tui import shapes
from tui.asking import asked, is_there
from tui.request_log import MOST_ROWS, RequestLog
from tui.sidecar_client import SidecarClient, SidecarError
from tui.themes import THEMES, first_theme, next_theme, remembered
from tui.views import VIEWS, View
from tui.widgets.banner import Banner
from tui.widgets.key_bar import KeyBar
from tui.widgets.top_bar import TopBar

TICK_SECONDS = 0.25
UNSEEN_SECONDS = 0.7
"""When views that nobody has looked at are made, one after the other: a key press need not wait for it later."""
PAGE = 1000
"""Requests that are asked of the ledger at once."""

GARBAGE = 2_000
"""Objects more than before, after which garbage is looked for."""

USUAL_BODIES = 50
"""How many are kept where the sidecar kept none when we came."""

OF_VIEWS = frozenset({"view", "filter", "export", "pause", "bypass", "clear_cache", "keep_bodies", "quit"})
"""Actions of keys that mean something else, or nothing, on a screen that stands before the views."""
AT_ONCE = frozenset({"view", "filter"})
"""Actions whose keys do not wait in the queue of the widget that has the focus, since what is typed next, and may have
come with them, is meant for what they show. While a field has the focus they are its text."""

Ending = Literal["stop", "leave"]
"""What is to become of the sidecar when the dashboard ends."""


class Dashboard(App[Ending]):
    """Shows the sidecar at `url` (without `/v1`). `connect` is the text that tells how to connect a tool."""

    TITLE = "cgw"
    CSS_PATH = "cgw.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # noqa: RUF012 -- as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-usual"), (48, "-tall")]  # noqa: RUF012 -- as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"view('{row.id}')", row.title, show=False, priority=True)
            for number, row in enumerate(VIEWS, start=1)
        ),
        Binding("question_mark", "help", "Help", key_display="?", tooltip="every key, the filter language, the signs"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="show only what matches", priority=True),
        Binding("e", "export", "Export", tooltip="a CSV file of what is shown, in the folder where you are"),
        Binding("p", "pause", "Pause", tooltip="let the picture stand still; requests go on"),
        Binding("b", "bypass", "Bypass", tooltip="send every request as its client wrote it, until turned off again"),
        Binding("c", "clear_cache", "Clear", tooltip="forget all answers in the response cache (asks first)"),
        Binding("m", "keep_bodies", "Memory", show=False, tooltip="keep bodies of requests in memory, or none at all"),
        Binding("t", "next_theme", "Theme", tooltip="dark, light, colour-blind safe, high contrast, no colour"),
        Binding("q", "quit", "Quit", tooltip="end the dashboard; asks what becomes of its sidecar"),
    ]

    def __init__(
        self,
        url: str,
        key: str,
        connect: str,
        *,
        version: str,
        owns_sidecar: bool = False,
        rows: int = MOST_ROWS,
        theme_file: Path | None = None,
    ) -> None:
        """`key` opens the admin routes; `version` is that of this cgw. With `owns_sidecar` its user is asked at the end
        whether the sidecar goes on. `rows` is how many requests it remembers; `theme_file` has the theme that was
        chosen last."""
        super().__init__()
        self.url = url
        self.connect = connect
        self.client = SidecarClient(url, key)
        self.log_of_requests = RequestLog(most=rows)
        self.state: Mapping[str, Any] | None = None
        """The newest state that the sidecar told."""
        self.lost = False
        self.paused = False
        self._owns_sidecar = owns_sidecar
        self.more_history = False
        """Whether the ledger has requests that are older than those in the table."""
        self._shown_version = -1
        self._version = version
        self._sidecar_version = version
        self._instance: str | None = None
        self._ended_unseen = False
        self._kept_bodies = USUAL_BODIES
        for theme in THEMES:
            self.register_theme(theme)
        self._theme_file = theme_file
        self.theme = first_theme(os.environ, remembered(theme_file)).name

    def compose(self) -> ComposeResult:
        yield TopBar([row.title for row in VIEWS])
        yield Banner()
        yield ContentSwitcher(id="views")
        yield KeyBar()

    async def on_mount(self) -> None:
        await self.action_view(VIEWS[0].id)
        self.call_after_refresh(self.follow)
        self.set_timer(UNSEEN_SECONDS, self._mount_unseen)
        self.set_interval(TICK_SECONDS, self._tick)

    async def on_unmount(self) -> None:
        await self.client.close()

    # --- the feed

    @work(exclusive=True, group="feed")
    async def follow(self) -> None:
        """Take what the sidecar tells, for as long as the dashboard runs."""
        async for name, content in self.client.events():
            if not is_there(self):
                return
            if name == "hello":
                await self._meet(content)
            elif name == "batch":
                self.log_of_requests.batch(content)
            elif name == "state":
                self._take_state(content)
                self._take_running(content)
            elif name == "lost":
                self.lost = True
                self._show_banner(str(content["reason"]))

    async def _meet(self, hello: Mapping[str, Any]) -> None:
        self.lost = False
        if self._instance is not None and hello["instance"] != self._instance:
            self.notify("The sidecar was started anew.", timeout=4)
        self._instance, self._sidecar_version = hello["instance"], hello["version"]
        self.log_of_requests.hello(hello)
        self._take_state(hello["state"])
        self.load_history()
        self.view.show()

    def _take_state(self, state: Mapping[str, Any]) -> None:
        if self.state is not None and state["dropped"] > self.state["dropped"]:
            self.load_history()
        self.state = state
        self.query_one(TopBar).tell(state)
        self._show_banner("")

    def _take_running(self, state: Mapping[str, Any]) -> None:
        """A state that came with the feed, behind all that ended before it. The ledger knows how most of those ended
        whose end did not come, half a second later."""
        if self._ended_unseen:
            self.load_history()
        if state["running"] is not None:
            self._ended_unseen = self.log_of_requests.run(state["running"]) > 0

    @work(exclusive=True, group="history")
    async def load_history(self) -> None:
        """What happened before: the table begins with the ledger's newest."""
        with suppress(SidecarError):  # the live rows are there all the same
            found = await asked(self, self.client.get(f"requests?limit={PAGE}", shapes.REQUESTS))
            self.log_of_requests.history(found["rows"])
            self.more_history = found["more"]

    @work(group="older")
    async def load_older(self) -> None:
        """The page before the oldest request that is known, while there is room for it."""
        log = self.log_of_requests
        if not self.more_history or not log.rows or log.full:
            return
        self.more_history = False  # until this page is here
        older = f"requests?limit={PAGE}&before={log.rows[0].id}"
        try:
            found = await asked(self, self.client.get(older, shapes.REQUESTS))
        except SidecarError as error:
            self.notify(f"Older requests could not be had: {error}", severity="error")
            self.more_history = True
            return
        came = log.history(found["rows"])
        self.more_history = found["more"] and came > 0

    def _tick(self) -> None:
        log = self.log_of_requests
        if not is_there(self) or self.paused or (log.version == self._shown_version and not log.running):
            return
        self._shown_version = log.version
        self.view.tick()

    def _show_banner(self, reason: str) -> None:
        if self.lost:
            said = f"! The sidecar at {self.url} does not answer ({reason}). This is the last picture; trying again."
            self.query_one(Banner).say(said, bad=True)
            return
        told = []
        if self.state is not None and self.state["bypass"]:
            told.append("! BYPASS: every request goes as its client wrote it. `b` turns it off.")
        elif self.paused:
            told.append("PAUSED: the picture stands still, requests go on. `p` goes on.")
        if (another := self._another_version()) is not None:
            told.append(another)
        self.query_one(Banner).say("\n".join(told))

    def _another_version(self) -> str | None:
        """What to say, and to do, where the sidecar and this dashboard are not of one version."""
        theirs, strange = self._sidecar_version, sorted(self.client.strange)
        if theirs == self._version and not strange:
            return None
        said = f"! The sidecar is cgw {theirs or 'of an unknown version'}, this dashboard is cgw {self._version}"
        unknown = (
            f" What it does not tell is shown empty ({strange[0]}{', ...' if strange[1:] else ''})." if strange else ""
        )
        return (
            f"{said}.{unknown} Use one version for both: update the older one, then `cgw restart` and open this anew."
        )

    # --- views

    @property
    def view(self) -> View:
        """The one on the screen."""
        switcher = self.query_one("#views", ContentSwitcher)
        return switcher.query_one(f"#{switcher.current}", View)

    async def action_view(self, name: str) -> None:
        switcher = self.query_one("#views", ContentSwitcher)
        row = next(row for row in VIEWS if row.id == name)
        if not switcher.query(f"#{name}"):
            await switcher.mount(row.load())
        switcher.current = name
        self.query_one(TopBar).choose(VIEWS.index(row))
        if self.state is not None:
            self.view.show()
            self.view.tick()
        self.view.focus_first()

    def _mount_unseen(self) -> None:
        """The next view, hidden."""
        if not is_there(self) or not self.screen_stack:
            return
        switcher = self.screen_stack[0].query_one("#views", ContentSwitcher)
        if (row := next((row for row in VIEWS if not switcher.query(f"#{row.id}")), None)) is not None:
            view = row.load()
            view.display = False
            switcher.mount(view)
            self.set_timer(UNSEEN_SECONDS, self._mount_unseen)
        else:
            _collect_seldom()

    async def on_top_bar_chosen(self, message: TopBar.Chosen) -> None:
        await self.action_view(VIEWS[message.index].id)

    def open_request(self, request_id: str) -> None:
        """All that is known of one request."""
        from tui.screens.request_detail import RequestDetail

        self.push_screen(RequestDetail(request_id))

    def open_conversation(self, conversation: str) -> None:
        from tui.screens.conversation_detail import ConversationDetail

        self.push_screen(ConversationDetail(conversation))

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool | None = None,
    ) -> None:
        """Ours have no title and are plain text: paths, names and errors may have brackets. Textual's have markup."""
        markup = bool(title) if markup is None else markup
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=markup)

    # --- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What belongs to the views is not there while a screen stands before them."""
        if action in OF_VIEWS and len(self.screen_stack) > 1:
            return False
        return None if action in AT_ONCE and isinstance(self.focused, Input) else True

    def action_filter(self) -> None:
        self.view.ask_filter()

    def action_export(self) -> None:
        self.view.export()

    def action_pause(self) -> None:
        self.paused = not self.paused
        self._shown_version = -1
        self._show_banner("")

    @work
    async def action_bypass(self) -> None:
        on = not (self.state or {}).get("bypass", False)
        try:
            self._take_state(await asked(self, self.client.post("bypass", shapes.STATE, {"on": on})))
        except SidecarError as error:
            self.notify(str(error), severity="error")

    @work
    async def action_clear_cache(self) -> None:
        from tui.screens.confirm import Confirm

        question = "Forget every answer in the response cache? Repeated requests cost money again."
        if not await self.push_screen_wait(Confirm(question, yes="Clear the cache")):
            return
        try:
            cleared = (await asked(self, self.client.delete("cache", shapes.CLEARED)))["cleared"]
        except SidecarError as error:
            self.notify(str(error), severity="error")
        else:
            self.notify(f"{cleared} answers forgotten.")

    @work
    async def action_keep_bodies(self) -> None:
        """None at all, and back to as many as before."""
        keeps = (self.state or {}).get("keeps_bodies", 0)
        self._kept_bodies = keeps or self._kept_bodies
        keep = {"keep": 0 if keeps else self._kept_bodies}
        try:
            self._take_state(await asked(self, self.client.post("bodies", shapes.STATE, keep)))
        except SidecarError as error:
            self.notify(str(error), severity="error")
            return
        if keeps:
            self.notify("No bodies are kept any more; those that were are forgotten.", timeout=4)
        else:
            self.notify(f"The bodies of the newest {self._kept_bodies} requests are kept, in memory only.", timeout=4)

    def action_next_theme(self) -> None:
        self.theme = next_theme(self.theme).name
        if self._theme_file is not None:
            with suppress(OSError):  # it begins with another one next time
                self._theme_file.write_text(self.theme, encoding="utf-8")
        self.notify(self.theme.removeprefix("cgw-").replace("-", " "), timeout=1.5)

    def action_help(self) -> None:
        from tui.screens.help import Help

        self.push_screen(Help(self.view, self.screen if len(self.screen_stack) > 1 else None))

    @work
    async def action_quit(self) -> None:  # type: ignore[override]
        if not self._owns_sidecar or self.lost:
            self.exit("stop")
            return
        from tui.screens.quit import Quit

        ending = await self.push_screen_wait(Quit((self.state or {}).get("in_flight", 0)))
        if ending is not None:
            self.exit(ending)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette (Ctrl+P): every view and every key."""
        for row in VIEWS:
            yield SystemCommand(row.title, f"Show {row.title.lower()}", partial(self.run_action, f"view('{row.id}')"))
        for binding in self.BINDINGS:
            if isinstance(binding, Binding) and binding.tooltip:
                told = f"{binding.key_display or binding.key}  {binding.tooltip}"
                yield SystemCommand(binding.description, told, partial(self.run_action, binding.action))
        yield SystemCommand("Screenshot", "Save what is shown as an SVG", self.deliver_screenshot)


def _collect_seldom() -> None:
    """What is there once all views are, stays: to look through it for garbage takes longer than a key may. Whoever
    started the dashboard may have done without a collector until now."""
    gc.freeze()
    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])
    gc.enable()
