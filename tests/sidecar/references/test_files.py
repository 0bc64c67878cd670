"""Files known by their content, however they were read."""

from sidecar.references.files import files_in
from sidecar.references.reading import Reading
from sidecar.references.sources import Origin

LINES = [f"line {number}" for number in range(12)]
BODY = "\n".join(LINES)
READ = Origin("read_file result in message 3", "src/a.py")
SHOWN = Origin("user message 1")


def test_a_file_has_one_digest_however_it_is_shown() -> None:
    numbered = "\n".join(f"{number}: {line}" for number, line in enumerate(LINES, 1))
    ways = [
        (BODY, READ),
        (f"{BODY}\n", READ),
        (numbered, READ),
        (BODY.replace("\n", "\r\n"), READ),
        (f'<file_content path="src/a.py">\n{BODY}\n</file_content>', SHOWN),
        (f"see\n```py src/a.py\n{BODY}\n```\nand more", SHOWN),
    ]
    found = [file for text, origin in ways for file in files_in(Reading(text), origin)]
    assert [file.path for file in found] == ["src/a.py"] * len(ways)
    assert len({file.digest for file in found}) == 1


def test_a_changed_file_is_another_one() -> None:
    (one,) = files_in(Reading(BODY), READ)
    (other,) = files_in(Reading(BODY.replace("7", "8")), READ)
    assert one.digest != other.digest


def test_each_file_in_a_message_counts() -> None:
    text = "\n".join(f'<file_content path="{name}.py">\n{BODY}\n{name}\n</file_content>' for name in "abc")
    assert [file.path for file in files_in(Reading(text), SHOWN)] == ["a.py", "b.py", "c.py"]


def test_what_stands_inside_a_file_is_no_other_file() -> None:
    nested = f'<file_content path="a.py">\n{BODY}\n```py b.py\n{BODY}\n```\n</file_content>'
    assert [file.path for file in files_in(Reading(nested), SHOWN)] == ["a.py"]


def test_files_that_never_end_are_followed_once() -> None:
    text = '<file_content path="a.py">\n' * 100_000
    assert len([*files_in(Reading(text), SHOWN)]) == 1


def test_a_few_lines_are_no_file() -> None:
    assert [*files_in(Reading("a\nb\nc"), READ)] == []


def test_text_that_names_no_file_shows_none() -> None:
    assert [*files_in(Reading(BODY), SHOWN)] == []
