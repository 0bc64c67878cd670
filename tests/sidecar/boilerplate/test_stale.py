"""Leaving out the editor's state of an earlier turn: what goes, what stays, and that it is marked."""

from sidecar.boilerplate.catalogue import built_in
from sidecar.boilerplate.segments import segments_in
from sidecar.boilerplate.stale import trim

TABS = "\n".join(f"src/module_{number}.ts" for number in range(20))
ENVIRONMENT = f"""<environment_details>
# VSCode Visible Files
src/app.ts

# VSCode Open Tabs
{TABS}

# Recently Modified Files
These files have been modified since you last accessed them:
src/server.ts

# Actively Running Terminals
## Original command: `npm test`
### New Output
1 failed

# Current Time
5/9/2025, 2:45:14 PM (America/Chicago, UTC-5:00)

# Context Window Usage
16,162 / 200K tokens used (8%)

# Current Mode
ACT MODE
</environment_details>"""


def trimmed(text: str, client: str) -> str | None:
    rows = built_in().for_client(client)
    short = trim(text, [found for found in segments_in(text, rows, "user", in_result=False) if found.row.kind == "B"])
    return None if short is None else short.text


def test_tabs_time_and_mode_go_terminals_and_modified_files_stay() -> None:
    short = trimmed(ENVIRONMENT, "cline")
    assert short is not None
    lines = short.split("\n")
    assert lines[0] == "<environment_details>"
    assert lines[1].startswith("[cgw cut: ")
    assert lines[1].endswith(" characters of the editor's state then]")
    assert lines[-1] == "</environment_details>"
    assert "src/module_3.ts" not in short
    assert "Current Time" not in short
    assert "ACT MODE" not in short
    assert "These files have been modified since you last accessed them:\nsrc/server.ts" in short
    assert "### New Output\n1 failed" in short


def test_the_marker_says_how_much_went() -> None:
    short = trimmed(ENVIRONMENT, "cline")
    assert short is not None
    marker = short.split("\n")[1]
    gone = int(marker.removeprefix("[cgw cut: ").partition(" ")[0])
    assert len(ENVIRONMENT) - gone + len(marker) <= len(short) <= len(ENVIRONMENT) - gone + len(marker) + 1


def test_other_editors_name_their_sections_after_themselves() -> None:
    short = trimmed(ENVIRONMENT.replace("VSCode", "Visual Studio Code"), "cline")
    assert short is not None
    assert "src/module_3.ts" not in short


def test_roos_reminders_go_with_its_state() -> None:
    reminders = "====\n\nREMINDERS\n\n| # | Content | Status |\n| 1 | read | Pending |"
    short = trimmed(ENVIRONMENT.replace("\n</env", f"\n{reminders}\n</env"), "roo")
    assert short is not None
    assert "REMINDERS" not in short
    assert "# Context Window Usage" in short


def test_a_section_that_nobody_knows_stays() -> None:
    short = trimmed(ENVIRONMENT.replace("# Current Mode", "# Something New"), "cline")
    assert short is not None
    assert "# Something New\nACT MODE" in short


def test_the_persons_words_around_it_stay() -> None:
    open_files = "<open_and_recently_viewed_files>\n" + TABS + "\n</open_and_recently_viewed_files>"
    short = trimmed(f"{open_files}<user_query>fix it</user_query>", "cursor")
    assert short is not None
    assert short.startswith("[cgw cut: ")
    assert short.endswith("]<user_query>fix it</user_query>")


def test_a_little_state_is_not_worth_a_marker() -> None:
    assert trimmed("<environment_details>\n# Current Mode\nACT MODE\n</environment_details>", "cline") is None
