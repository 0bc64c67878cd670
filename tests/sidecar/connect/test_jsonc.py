"""JSON with comments: what is put in is there, what is taken out is gone, and everything else stays as it was."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.connect.document import MISSING, DocumentError, Item, Path, Value, found
from sidecar.connect.jsonc import Jsonc

JSONC = Jsonc()

keys = st.text(st.sampled_from('ab"\\/ é{}[],:\n'), max_size=4)
scalars = st.none() | st.booleans() | st.integers(-9, 99) | st.text(st.sampled_from('ab"\\/* é{}[],:\n'), max_size=6)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
tables = st.dictionaries(keys, values, max_size=4)
blanks = st.sampled_from(["", " ", "\n", "\r\n", "\t", " /* a { b , */ ", " // c } d ,\n", "\n\n  "])


@st.composite
def texts(draw: st.DrawFn, value: st.SearchStrategy[Value]) -> tuple[str, Value]:
    """A value, written as people write: comments and blanks anywhere, commas after the last one."""

    def gap() -> str:
        return draw(blanks)

    def written(one: Value) -> str:
        match one:
            case dict():
                parts = [
                    f"{gap()}{json.dumps(key)}{gap()}:{gap()}{written(inner)}{gap()}" for key, inner in one.items()
                ]
                return "{" + ",".join(parts) + (draw(st.sampled_from(["", ","])) if parts else "") + gap() + "}"
            case list():
                parts = [f"{gap()}{written(inner)}{gap()}" for inner in one]
                return "[" + ",".join(parts) + (draw(st.sampled_from(["", ","])) if parts else "") + gap() + "]"
            case _:
                return json.dumps(one, ensure_ascii=draw(st.booleans()))

    drawn = draw(value)
    return gap() + written(drawn) + gap(), drawn


def put_by_hand(value: Value, path: Path, new: Value) -> Value:
    assert isinstance(value, dict)
    head, *rest = path
    assert isinstance(head, str)
    return value | {head: put_by_hand(value.get(head, {}), tuple(rest), new) if rest else new}


def comments(text: str) -> list[str]:
    return re.findall(r"/\* a \{ b , \*/|// c \} d ,", text)


@given(texts(values))
def test_it_reads_what_was_written(written: tuple[str, Value]) -> None:
    text, value = written
    assert JSONC.read(text) == value


@given(texts(tables), keys, values)
def test_what_is_put_in_is_there_beside_everything_else(written: tuple[str, Value], key: str, new: Value) -> None:
    text, value = written
    after = JSONC.put(text, (key,), new)
    assert JSONC.read(after) == put_by_hand(value, (key,), new)
    assert isinstance(value, dict)
    if key not in value:
        assert comments(after) == comments(text)


@given(texts(tables), values)
def test_what_was_put_in_can_be_taken_out(written: tuple[str, Value], new: Value) -> None:
    text, value = written
    after = JSONC.remove(JSONC.put(text, ("not there before", "inside"), new), ("not there before",))
    assert JSONC.read(after) == value
    assert comments(after) == comments(text)


@given(texts(tables), st.data())
def test_only_what_is_to_go_goes(written: tuple[str, Value], data: st.DataObject) -> None:
    text, value = written
    assert isinstance(value, dict)
    if not value:
        return
    key = data.draw(st.sampled_from(sorted(value)))
    after = JSONC.read(JSONC.remove(text, (key,)))
    assert after == {name: one for name, one in value.items() if name != key}


@given(texts(st.lists(tables, max_size=3)), values)
def test_items_are_found_by_what_they_are_called(written: tuple[str, Value], new: Value) -> None:
    text, value = written
    item = Item("name", "ours")
    after = JSONC.put(text, (item, "k"), new)
    assert JSONC.read(after) == [*(value if isinstance(value, list) else []), {"name": "ours", "k": new}]
    assert JSONC.read(JSONC.put(after, (item, "k"), "other")) != JSONC.read(text)
    assert JSONC.read(JSONC.remove(after, (item,))) == value


@given(st.text(st.sampled_from('{}[]",:/*\\ \n1tab'), max_size=12))
def test_whatever_the_text_is_it_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(DocumentError):
        JSONC.read(text)


SAMPLES = {
    "people's own style": (
        "{\n    // where it goes\n    'x': 1\n}\n".replace("'", '"'),
        '{\n    // where it goes\n    "x": 1,\n    "env": {\n        "A": "b"\n    }\n}\n',
    ),
    "a trailing comma stays": (
        '{\n\t"x": 1, // one\n}',
        '{\n\t"x": 1, // one\n\t"env": {\n\t\t"A": "b"\n\t},\n}',
    ),
    "a comment at the end stays with its line": (
        '{\n  "x": 1 // one\n  // more to come\n}\n',
        '{\n  "x": 1, // one\n  // more to come\n  "env": {\n    "A": "b"\n  }\n}\n',
    ),
    "line endings of Windows": (
        '{\r\n  "x": 1\r\n}\r\n',
        '{\r\n  "x": 1,\r\n  "env": {\r\n    "A": "b"\r\n  }\r\n}\r\n',
    ),
    "on one line": ('{"env": {"B": 1}}', '{"env": {"B": 1, "A": "b"}}'),
    "nothing in it": ("", '{\n  "env": {\n    "A": "b"\n  }\n}\n'),
    "braces only": ("{}", '{\n  "env": {\n    "A": "b"\n  }\n}'),
    "a comment only": ("// mine", '// mine\n{\n  "env": {\n    "A": "b"\n  }\n}\n'),
    "another value there": ('{"env": {"A": /* was */ "c" /* here */}}', '{"env": {"A": /* was */ "b" /* here */}}'),
    "the same value there": ('{ "env" :{"A":"b"}}', '{ "env" :{"A":"b"}}'),
    "twice there": ('{"env": {"A": 1}, "env": {"A": 2}}', '{"env": {"A": 1}, "env": {"A": "b"}}'),
}


@pytest.mark.parametrize(("before", "after"), SAMPLES.values(), ids=SAMPLES)
def test_it_is_written_as_the_file_is_written(before: str, after: str) -> None:
    assert JSONC.put(before, ("env", "A"), "b") == after


@pytest.mark.parametrize("text", ['{"env": "text"}', '{"env": null}', '{"env": []}', "[]", "3"])
def test_what_is_not_understood_is_not_replaced(text: str) -> None:
    with pytest.raises(DocumentError, match="replaces nothing"):
        JSONC.put(text, ("env", "A"), "b")


@pytest.mark.parametrize("text", ['{"a": 1', '{"a" 1}', "{a: 1}", '{"a": tru}', '{"a": 1} 2', '{"a": "\n"}', "[" * 300])
def test_what_is_no_json_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(DocumentError, match=r"not valid JSON.*line \d"):
        JSONC.put(text, ("b",), 1)


def test_what_is_not_there_needs_no_removing() -> None:
    assert JSONC.remove("{}", ("a", "b")) == "{}"
    assert JSONC.remove("", ("a",)) == ""
    assert found(JSONC.read("{}"), ("a", "b")) is MISSING
