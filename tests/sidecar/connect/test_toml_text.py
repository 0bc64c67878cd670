"""TOML: tomlkit does the work; these are the ways in which it is asked to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.connect.document import MISSING, DocumentError, Value, found
from sidecar.connect.toml_text import TomlText

TOML = TomlText()
OURS = ("model_providers", "cgw", "base_url")

TEXTS = {
    "nothing": "",
    "a comment": "# mine\n",
    "without an end": "a = 1",
    "of Windows": '# c\r\nmodel = "gpt" # mine\r\n\r\n[a.b]\r\nc = 1\r\n',
    "tables": 'model = "gpt" # mine\n\n[model_providers.other]\nname="x" # theirs\n\n[projects."/a b"]\ntrust = "y"\n',
    "only tables": "[a]\nb = 1\n# tail\n",
    "lists of tables": "[[mcp]]\nn = 1\n\n[[mcp]]\nn = 2\n",
    "dates and floats": "d = 2026-11-23\nf = 1.50 # exactly\nm = '''a\nb'''\n",
}
each_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def as_table(text: str) -> dict[str, Value]:
    value = TOML.read(text)
    return value if isinstance(value, dict) else {}


@each_text
def test_settings_come_and_go_and_the_others_stay(text: str) -> None:
    after = TOML.put(TOML.put(text, ("model_provider",), "cgw"), OURS, "http://x")
    assert found(TOML.read(after), OURS) == "http://x"
    assert as_table(after)["model_provider"] == "cgw"
    for line in text.splitlines():
        assert line.partition("{")[0] in after
    gone = TOML.remove(TOML.remove(after, ("model_provider",)), ("model_providers", "cgw"))
    theirs = as_table(text)
    assert {key: value for key, value in as_table(gone).items() if value != {}} == theirs


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n"])
@pytest.mark.parametrize("before", ["", "# mine\n[a]\nb = 1\n", "[model_providers.x]\nname = 'x'\n"])
@pytest.mark.parametrize("below", ["# of the end", "\n# theirs\n  # and more\n\n[projects.'/a']\nt = '[x]' # y"])
def test_comments_below_a_table_that_goes_are_the_users(newline: str, last: str, before: str, below: str) -> None:
    """Codex itself adds tables after ours."""
    theirs = (before + below + last).replace("\n", newline)
    ours = TOML.put(TOML.put(before.replace("\n", newline), OURS, "http://x"), (*OURS[:2], "auth", "command"), "cat")
    ours += ("" if ours.endswith("\n") else newline) + (below + last).replace("\n", newline)
    gone = TOML.remove(ours, OURS[:2])
    assert gone.replace(newline * 2, newline).lstrip("\r\n") == theirs.replace(newline * 2, newline).lstrip("\r\n")


@each_text
def test_line_endings_stay_what_they_are(text: str) -> None:
    after = TOML.put(TOML.put(text, ("model_provider",), "cgw"), OURS, "http://x")
    assert after.count("\r\n") == (after.count("\n") if "\r\n" in text else 0)


@given(st.sampled_from(sorted(TEXTS)), st.booleans() | st.integers(-9, 99) | st.text(max_size=8))
def test_any_value_reads_as_it_was_meant(text: str, value: Value) -> None:
    assert found(TOML.read(TOML.put(TEXTS[text], OURS, value)), OURS) == value


def test_what_is_there_already_changes_nothing() -> None:
    text = '[model_providers.cgw]\nbase_url   =   "http://x"   # there\n'
    assert TOML.put(text, OURS, "http://x") == text


def test_nothing_is_not_an_empty_table() -> None:
    assert TOML.read("\n") is MISSING
    assert TOML.remove("a = 1\n", ("b", "c")) == "a = 1\n"


@pytest.mark.parametrize(
    "text",
    [
        'model_providers = "text"\n',
        "a = \n",
        "a = 1\na = 2\n",
        'model_providers.other.name = "x"\nz = 1\n',  # tomlkit puts ours between the two
        'model_providers = { other = { name = "x" } }\n',
    ],
)
def test_what_is_not_understood_is_not_changed(text: str) -> None:
    with pytest.raises(DocumentError):
        TOML.put(text, OURS, "x")
