"""What changes by itself is recognised, row by row, and nothing else is."""

import pytest

from sidecar.repair.changes import changed, is_volatile
from sidecar.repair.volatile import KINDS, SECTIONS, alike

SAMPLES: dict[str, list[tuple[str, str]]] = {
    "moment": [
        ("Time in ISO 8601 UTC: 2026-11-22T10:04:05.123Z", "Time in ISO 8601 UTC: 2026-11-22T10:05:09.001Z"),
        ("<now>2026-11-22 10:04 +01:00</now>", "<now>2026-11-22 10:05 +01:00</now>"),
    ],
    "date": [
        ("Today's date: 2026-11-22", "Today's date: 2026-11-23"),
        ("Date: 11/22/2026", "Date: 11/23/2026"),
        ("Datum: 22.11.2026", "Datum: 23.11.2026"),
    ],
    "date in words": [
        ("The current date is November 22, 2026.", "The current date is November 23, 2026."),
        ("Today is Sunday, 22 Nov 2026", "Today is Monday, 23 Nov 2026"),
        ("Current Date: Sunday Nov 22, 2026", "Current Date: Tuesday Dec 1, 2026"),
        ("It is the 1st of May", "It is the 2nd of May"),
    ],
    "weekday": [("Happy Friday!", "Happy Saturday!")],
    "clock time": [
        ("The time is 10:04.", "The time is 10:05."),
        ("5/2/2025, 4:42:28 PM (America/Chicago)", "5/2/2025, 4:43:01 PM (America/Chicago)"),
        ("It is 9 am", "It is 10 am"),
    ],
    "time zone": [
        ("User time zone: America/Chicago, UTC-5:00", "User time zone: Europe/Oslo, UTC+1:00"),
        ("Berlin (CEST)", "Berlin (CET)"),
        ("offset +02:00", "offset +01:00"),
    ],
    "unix time": [("timestamp: 1795341845", "timestamp: 1795341905"), ("now=1795341845123", "now=1795341905001")],
    "cost": [("Spent: $0.12", "Spent: $1,204.50"), ("cost 0.12 USD so far", "cost 0.15 USD so far")],
    "tokens": [
        ("23,191 / 200K tokens used (12%)", "24,555 / 200K tokens used (13%)"),
        ("Budget: 1200 tokens left", "Budget: 900 tokens left"),
    ],
    "context used": [("You have 12% of the context left", "You have 11% of the context left")],
    "cursor": [
        ("Cursor position: 12:5", "Cursor position: 13:1"),
        ("Ln 12, Col 5", "Ln 13, Col 1"),
        ("The cursor is on line 12, column 5", "The cursor is on line 99, column 1"),
    ],
    "git status": [
        ("3 files changed, 12 insertions(+), 1 deletion(-)", "4 files changed, 19 insertions(+), 3 deletions(-)"),
        ("Your branch is ahead of 'origin/main' by 2 commits.", "Your branch is ahead of 'origin/main' by 3 commits."),
        ("2 modified, 1 untracked", "3 modified, 2 untracked"),
    ],
    "elapsed": [("last build 3 minutes ago", "last build 4 minutes ago"), ("elapsed: 1m 20s", "elapsed: 2m 5s")],
}

SECTION_SAMPLES: dict[str, tuple[str, str]] = {
    "visible files (Cline, Roo)": (
        "# VSCode Visible Files\n(No visible files)\n\n# Current Mode\nACT MODE",
        "# VSCode Visible Files\nsrc/a.ts\nsrc/b.ts\n\n# Current Mode\nACT MODE",
    ),
    "open tabs (Cline, Roo)": (
        "# VSCode Open Tabs\na.py\nb.py\n\n# Current Mode\nACT MODE",
        "# VSCode Open Tabs\nb.py\n\n# Current Mode\nACT MODE",
    ),
    "current time (Cline, Roo)": (
        "# Current Time\n(unknown)\n\n# Current Mode\nACT MODE",
        "# Current Time\n5/2/2025, 4:42:28 PM (America/Chicago, UTC-5:00)\n\n# Current Mode\nACT MODE",
    ),
    "current cost (Cline, Roo)": (
        "# Current Cost\n(Not available)\n\n# Current Mode\nACT MODE",
        "# Current Cost\n$0.12\n\n# Current Mode\nACT MODE",
    ),
    "context window (Cline)": (
        "# Context Window Usage\n(none yet)\n</environment_details>",
        "# Context Window Usage\n23,191 / 200K tokens used (12%)\n</environment_details>",
    ),
    "open files (Cursor)": (
        "<open_and_recently_viewed_files>\nFile: a.py (currently focused)\n</open_and_recently_viewed_files>",
        "<open_and_recently_viewed_files>\nFile: b.py\nFile: a.py\n</open_and_recently_viewed_files>",
    ),
    "current file (Copilot)": (
        "<editorContext>\nThe user's current file is a.py.\n</editorContext>",
        "<editorContext>\nThe user's current file is b.py.\n</editorContext>",
    ),
    "active file (Codex)": ("## Active file: src/a.py\n\n## Open tabs:", "## Active file: src/b.py\n\n## Open tabs:"),
    "open tabs (Codex)": (
        "## Open tabs:\n- a.py: src/a.py\n## My request for Codex:",
        "## Open tabs:\n- b.py: src/b.py\n- a.py: src/a.py\n## My request for Codex:",
    ),
}

MEANT = [
    ("You may edit files.", "You may not edit files."),
    ("Keep answers under 100 words.", "Keep answers under 10 words."),
    ("# Current Mode\nPLAN MODE", "# Current Mode\nACT MODE"),
    ("Use version 1.2", "Use version 1.3"),
    ("The time is 10:04.", "The date is 10:04."),
    ("The time is 10:04.", "The time is 10:05. Stop."),
    ("Time: 10:04", "Time: $0.12"),
    ("one\ntwo", "one"),
    ("# VSCode Open Tabs\na.py\n\n# Rules\nbe kind", "# VSCode Open Tabs\nb.py\n\n# Rules\nbe quick"),
    ("# Actively Running Terminals\nok", "# Actively Running Terminals\nfailed"),
]


def volatile(old: str, new: str) -> bool:
    change = changed({"type": "text", "text": old}, {"type": "text", "text": new})
    assert change is not None
    return is_volatile(change)


def test_every_row_has_a_sample() -> None:
    assert {kind.name for kind in KINDS} == SAMPLES.keys()
    assert {section.name for section in SECTIONS} == SECTION_SAMPLES.keys()


@pytest.mark.parametrize(("old", "new"), [pair for pairs in SAMPLES.values() for pair in pairs])
def test_a_line_that_tells_the_time_or_a_count_is_recognised(old: str, new: str) -> None:
    assert alike(old, new)
    assert volatile(f"You help.\n{old}\nBe brief.", f"You help.\n{new}\nBe brief.")


@pytest.mark.parametrize(("name", "pair"), SECTION_SAMPLES.items())
def test_what_stands_in_a_section_of_the_editors_state_may_change_freely(name: str, pair: tuple[str, str]) -> None:
    assert volatile(*pair), name


@pytest.mark.parametrize(("old", "new"), MEANT)
def test_what_somebody_meant_to_change_is_not_recognised(old: str, new: str) -> None:
    assert not volatile(old, new)


def test_a_whole_section_may_come_and_go() -> None:
    rest = "# Current Mode\nACT MODE"
    assert volatile(rest, f"# VSCode Open Tabs\na.py\n\n{rest}")


def test_a_clock_in_the_middle_of_a_long_line_is_recognised() -> None:
    line = "Read before you write. " * 100 + "It is 10:04 PM now. " + "Be brief. " * 100
    assert volatile(line, line.replace("10:04", "11:15"))
    assert not volatile(line, line.replace("10:04 PM", "late"))


@pytest.mark.parametrize("unit", ["1,", "0.1,", "1s ", "1 day "])
def test_a_long_row_of_numbers_is_read_once(unit: str) -> None:
    assert not alike(unit * 10_000, unit * 10_000 + "x")
