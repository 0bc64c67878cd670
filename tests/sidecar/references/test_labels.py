"""How a reference names the place it leads to."""

import pytest

from sidecar.references.labels import LONGEST_PATH, short_line, short_path, shown_files, where
from sidecar.references.sources import Origin, Source

BODY = "\n".join(f"line {number} of the file" for number in range(1, 9))
NUMBERED = "\n".join(f"{number:6}\tline {number} of the file" for number in range(41, 49))
WINDOW = "\n".join(f"{number}:line {number} of the file" for number in range(41, 49))
CALLED = Origin("view result in message 3")
ENVELOPES = {
    "cline": (f'<file_content path="src/a.py">\n{BODY}\n</file_content>', "src/a.py:3-5"),
    "cline after a write": (f'Saved.\n\n<final_file_content path="src/a.py">\n{BODY}\n</x>', "src/a.py:3-5"),
    "cline's own call": (f"<path>src/a.py</path>\n<content>\n{BODY}\n</content>", "src/a.py:3-5"),
    "opencode": (f"<path>src/a.py</path>\n<type>file</type>\n<content>\n{BODY}\n</content>", "src/a.py:3-5"),
    "cursor": (f'<code_selection path="src/a.py" lines="21-28">\n{BODY}\n</code_selection>', "src/a.py:23-25"),
    "cursor until 2024": (f"```path=src/a.py, lines=21-28\n{BODY}\n```", "src/a.py:23-25"),
    "copilot": (f'<attachment id="a" filePath="src/a.py">\n{BODY}\n</attachment>', "src/a.py:3-5"),
    "copilot, a part": (f"File: `src/a.py`. Lines 21 to 28 (90 lines total): \n{BODY}", "src/a.py:23-25"),
    "roo": (f"File: src/a.py\n{BODY}", "src/a.py:3-5"),
    "continue": (f"```py src/a.py (21-28)\n{BODY}\n```", "src/a.py:23-25"),
    "a fence without a language": (f"```src/a.py\n{BODY}\n```", "src/a.py:3-5"),
    "zed": (f"```py src/a.py:21-28\n{BODY}\n```", "src/a.py:23-25"),
    "swe-agent": (
        f"[File: src/a.py (90 lines total)]\n(40 more lines above)\n{WINDOW}\n(Open file: src/a.py)",
        "src/a.py:43-45",
    ),
    "openhands": (f"Here's the result of running `cat -n` on src/a.py:\n{NUMBERED}", "src/a.py:43-45"),
    "aider": (f"src/a.py\n```\n{BODY}\n```", "src/a.py:3-5"),
}


def label(text: str, origin: Origin = CALLED) -> str:
    source = Source(text, origin)
    first = next(
        number for number, key in enumerate(source.reading.keys) if key.startswith("line 3 ") or "line 43" in key
    )
    return where(source, first, 3)


@pytest.mark.parametrize(("text", "expected"), ENVELOPES.values(), ids=ENVELOPES)
def test_each_clients_envelope_names_file_and_lines(text: str, expected: str) -> None:
    assert label(text) == expected


def test_lines_behind_an_envelope_are_not_the_files() -> None:
    assert label(f'<file_content path="a.py">\nx\n</file_content>\n{BODY}') == CALLED.called


def test_the_calls_arguments_name_the_file_where_its_result_does_not() -> None:
    assert label(BODY, Origin("read_file result in message 3", "src/a.py", 41)) == "src/a.py:43-45"


def test_without_a_file_the_text_itself_is_named() -> None:
    assert label(BODY) == "view result in message 3"


def test_of_a_long_path_the_end_is_shown() -> None:
    short = short_path("/home/somebody/projects/here/there/everywhere/app.py")
    assert short == "…/here/there/everywhere/app.py"
    assert len(short) <= LONGEST_PATH + 1


def test_of_a_long_line_the_beginning_is_shown() -> None:
    assert short_line("    return  some.very.long(call)") == "return some.ve…"


def test_an_attachment_that_never_ends_is_read_once() -> None:
    assert shown_files('<attachment filePath="' * 50_000) == []
