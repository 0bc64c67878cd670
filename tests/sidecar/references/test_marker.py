"""Markers: written, found, and known for genuine at their own place alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.references.marker import (
    OWN,
    Patch,
    Place,
    digest_of,
    references_in,
    seal,
    unseal,
    write_reference,
)
from sidecar.references.numbering import Numbering
from sidecar.references.reading import PLAIN, Form

DIGEST = digest_of("the text with the lines")
PLACE = Place(digest_of("what the model said"), 7)
FORMS = st.builds(
    Form,
    st.booleans(),
    st.just(False),
    st.none()
    | st.builds(
        Numbering, st.sampled_from(["\t", " | ", ": "]), st.integers(1, 9), st.booleans(), st.integers(0, 10**6)
    ),
)


def written(words: str = "same 45 lines as src/app.py:12-56 above", form: Form = PLAIN) -> str:
    return write_reference(words, digest=DIGEST, first=11, form=form, place=PLACE)


def test_a_marker_says_how_many_lines_and_where() -> None:
    marker = written('same 45 lines as src/app.py:12-56 above, "def main():" to "return 0"')
    assert marker.startswith('[cgw: same 45 lines as src/app.py:12-56 above, "def main():" to "return 0" @')
    assert len(marker) < 100


@given(FORMS)
def test_it_is_read_back_as_it_was_written(form: Form) -> None:
    (found,) = references_in(f"before {written(form=form)} behind")
    assert (found.count, found.first, found.form) == (45, 11, form)
    assert found.genuine(DIGEST, PLACE)


def test_a_diff_belongs_to_its_marker() -> None:
    diff = "@@ -2 +2 @@\n-old\n+new"
    words = "these 9 lines are a.py above with this 3-line diff"
    marker = write_reference(
        words, digest=DIGEST, first=0, form=PLAIN, place=PLACE, patch=Patch(base=9, lines=3), diff=diff
    )
    (found,) = references_in(f"{marker}\nwhat follows")
    assert (found.patch, found.diff) == (Patch(9, 3), diff)
    assert found.genuine(DIGEST, PLACE)
    (other,) = references_in(marker.replace("+new", "+now"))
    assert not other.genuine(DIGEST, PLACE)


def test_a_diff_that_is_cut_short_is_no_marker() -> None:
    marker = write_reference(
        "these 9 lines are a.py", digest=DIGEST, first=0, form=PLAIN, place=PLACE, patch=Patch(9, 3), diff="@@\n-\n+"
    )
    assert [*references_in(marker[:-3])] == []


def test_a_copy_at_another_place_is_just_text() -> None:
    (found,) = references_in(written())
    assert not found.genuine(DIGEST, Place(PLACE.anchor, 8))
    assert not found.genuine(DIGEST, Place(digest_of("something else"), 7))


def test_a_marker_does_not_outlive_its_source() -> None:
    (found,) = references_in(written())
    assert not found.genuine(digest_of("the text with other lines"), PLACE)


@pytest.mark.parametrize(("old", "new"), [("45", "46"), ("app.py", "apq.py"), (".11.", ".12."), ("]", ".c]")])
def test_a_marker_with_a_changed_letter_is_just_text(old: str, new: str) -> None:
    (found,) = references_in(written().replace(old, new))
    assert not found.genuine(DIGEST, PLACE)


def test_the_beginning_of_a_marker_does_not_swallow_the_next_one() -> None:
    marker = written()
    found = [*references_in(f"[cgw: same 3 lines as {marker}")]
    assert [one.first for one in found] == [11]


def test_lines_of_the_same_text_have_a_name_of_their_own() -> None:
    marker = write_reference("same 3 lines as above", digest=DIGEST, own=True, first=0, form=PLAIN, place=PLACE)
    (found,) = references_in(marker)
    assert found.source == OWN


@given(st.text(max_size=50))
def test_what_is_sealed_comes_back(text: str) -> None:
    anchor = digest_of("said")
    assert unseal(seal(text, anchor), anchor) == text
    assert unseal(seal(text, anchor), digest_of("said elsewhere")) is None
    assert unseal(seal(text, anchor) + "x", anchor) is None
