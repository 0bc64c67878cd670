"""YAML: block style in people's own ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.connect.document import MISSING, DocumentError, Item, Path, Value, found
from sidecar.connect.yaml_text import YamlText

YAML = YamlText()
OURS = Item("name", "ours")

words = st.text(st.sampled_from("ab é'\"#:-{}[]*&!|>%@`0.,\\"), max_size=8)
leaves = st.none() | st.booleans() | st.integers(-9, 99) | words
leaf_values = leaves | st.lists(words, max_size=3)

BLOCKS = {
    "nothing": "",
    "a comment": "# mine\n",
    "without an end": "a: 1",
    "of Windows": "a: 1\r\nmodels:\r\n- name: G\r\n  x: y\r\n",
    "a list with comments": "models:\n  - name: G # n\n    roles:\n      - chat # last\n  # end\n\nrules:\n- uses: x\n",
    "a list that is not indented": "models:\n- name: G\n\n  x: y\n\n# tail\n",
    "an empty list": "models: []\nz: 1\n",
    "nothing after the colon": "models:\nz: 1\n",
    "nothing but a comment after it": "models: # none yet\n  # really\nz: 1\n",
    "a list on one line": "models: [ {name: G}, {name: H} ] # both\n",
    "JSON": '{"models": [], "z": 1}',
    "a block of text at the end": "z: |\n  one\n  two\n",
    "a folded text in the last item": "models:\n  - name: G\n    prompt: >-\n      one\n      two\n\nz: 1\n",
    "a document's marks": "---\nmodels:\n  - name: G\n...\n",
    "an empty value at the end": "models:\n  - name: G\n    k:\n",
    "anchors": "base: &base\n  x: 1\nmodels:\n  - <<: *base\n    name: G\n",
    "another one's anchors": "models:\n  - &g\n    name: G\n  - name: H\n    like: *g\n",
    "quotes": "models:\n  - name: \"G's\"\n    'x y': 'it''s'\n",
}
each_block = pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS)


def without_ours(value: Value) -> Value:
    """The document as it was, whether an empty list was nothing, null or empty."""
    assert isinstance(value, dict)
    models = value.get("models") or []
    assert isinstance(models, list)
    rest = [model for model in models if not OURS.is_in(model)]
    return {key: one for key, one in value.items() if key != "models"} | ({"models": rest} if rest else {})


def as_table(text: str) -> Value:
    value = YAML.read(text)
    return {} if value is MISSING or value is None else value  # type: ignore[return-value]


@each_block
def test_an_item_comes_into_the_list_and_goes_again(text: str) -> None:
    after = YAML.put(text, ("models", OURS, "model"), "sonnet")
    after = YAML.put(after, ("models", OURS, "deep", "er"), 3)
    assert found(YAML.read(after), ("models", OURS)) == {"name": "ours", "model": "sonnet", "deep": {"er": 3}}
    assert without_ours(as_table(after)) == without_ours(as_table(text))
    for line in text.splitlines():
        assert line.split("]")[0].rstrip() in after
    gone = YAML.remove(after, ("models", OURS))
    assert without_ours(as_table(gone)) == without_ours(as_table(text))
    if after.count("\n") == text.count("\n") + 4 and "models" in text:
        assert gone == text


@each_block
def test_a_setting_comes_and_goes(text: str) -> None:
    after = YAML.put(text, ("edit-format",), "diff")
    assert as_table(after) == {**as_table(text), "edit-format": "diff"}  # type: ignore[dict-item]
    assert as_table(YAML.remove(after, ("edit-format",))) == as_table(text)


@given(st.sampled_from(sorted(BLOCKS)), leaf_values)
def test_any_value_reads_as_it_was_meant(block: str, value: Value) -> None:
    after = YAML.put(BLOCKS[block], ("our setting", "inside"), value)
    assert found(YAML.read(after), ("our setting", "inside")) == value


@given(leaf_values, leaf_values)
def test_a_value_gives_way_to_another(first: Value, second: Value) -> None:
    text = YAML.put("a: 1 # one\nb: 2\n", ("c",), first) + "d: 4\n"
    after = YAML.put(text, ("c",), second)
    assert YAML.read(after) == {"a": 1, "b": 2, "c": second, "d": 4}
    assert "# one" in after


def test_the_comment_behind_a_value_stays() -> None:
    assert YAML.put("model: gpt # mine\nx: 1\n", ("model",), "sonnet") == "model: sonnet # mine\nx: 1\n"


@pytest.mark.parametrize(("value", "written"), [("yes", '"yes"'), ("1", '"1"'), ("a b", '"a b"'), ("a/b", "a/b")])
def test_what_could_be_misread_is_quoted(value: str, written: str) -> None:
    assert YAML.put("", ("k",), value) == f"k: {written}\n"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("models: text\n", ("models", OURS, "k")),
        ("models: {a: 1}\n", ("models", OURS, "k")),
        ("- a\n", ("k",)),
        ("just text\n", ("k",)),
        ("models: ~\n", ("models", OURS, "k")),
        ("a: 1\na: [\n", ("k",)),
        ("a: 1\n---\nb: 2\n", ("k",)),
        ("\ta: 1\n", ("k",)),
    ],
)
def test_what_is_not_understood_is_not_changed(text: str, path: Path) -> None:
    with pytest.raises(DocumentError):
        YAML.put(text, path, "v")


@given(st.text(st.sampled_from("ab:-#[]{}&*!|>'\"%@ \n\t"), max_size=16))
def test_whatever_the_text_is_it_is_changed_as_meant_or_refused(text: str) -> None:
    try:
        after = YAML.put(text, ("our setting",), "v")
    except DocumentError:
        return
    assert as_table(after) == {**as_table(text), "our setting": "v"}  # type: ignore[dict-item]
