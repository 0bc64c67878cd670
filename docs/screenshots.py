"""Takes the dashboard's pictures for the README anew, of the demo: a real sidecar, three tools at work, no key.

    python docs/screenshots.py [--minutes 4]

Nothing in them is made up: what they show happened while the script waited.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from sidecar import __version__
from sidecar.commands.connecting import connection_lines
from sidecar.commands.demo_dashboard import busy_sidecar
from sidecar.credentials import wire_headers
from sidecar.home import Home
from sidecar.simulator.server import RunningSimulator
from tui.app import Dashboard, Ending

FOLDER = Path(__file__).with_name("pictures")
SIZE = (120, 36)
PAUSE_SECONDS = 1.5

PICTURES = {
    "overview": ("cgw-dark", ("1",)),
    "requests": ("cgw-dark", ("2", "up", "up")),
    "request": ("cgw-dark", ("2", "slash", *"~l file_references", "enter", "up", "enter", "2")),
    "conversation": ("cgw-dark", ("3", "slash", *"aider", "enter", "down", "enter")),
    "overview-light": ("cgw-light", ("1",)),
}
"""Each with its theme and the keys that lead to it."""


async def take(minutes: float) -> None:
    with tempfile.TemporaryDirectory() as folder, RunningSimulator() as claude:
        home = Home(Path(folder) / "home")
        await wire_headers(claude.api_key, claude.url)
        async with busy_sidecar(home, claude) as (url, _):
            await asyncio.sleep(60 * minutes)
            for name, (theme, keys) in PICTURES.items():
                lines = connection_lines(url, home.gateway_key_file)
                app = Dashboard(url, home.gateway_key(), lines, version=__version__)
                app.theme = theme
                async with app.run_test(size=SIZE) as pilot:
                    await _press(pilot, keys)
                    picture = app.export_screenshot(title="cgw", simplify=True)
                path = FOLDER / f"{name}.svg"
                path.write_text(picture + "\n", encoding="utf-8")
                print(path, f"{len(picture):,} bytes")


async def _press(pilot: Pilot[Ending], keys: tuple[str, ...]) -> None:
    await asyncio.sleep(PAUSE_SECONDS)
    for key in keys:
        await pilot.press(key)
        await pilot.pause(0.1 if len(keys) > 6 else 0.5)
    await asyncio.sleep(PAUSE_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.0, help="how long the tools work before")
    FOLDER.mkdir(exist_ok=True)
    os.environ.pop("NO_COLOR", None)
    asyncio.run(take(parser.parse_args().minutes))


if __name__ == "__main__":
    main()
