"""What is known between two steps survives the way through a file, whatever an application has given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fixloop.findings import Findings, input_hash
from store.repair import Ended

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec=None)), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON, st.text(st.characters(codec=None)))
def test_findings_come_back_as_they_were_half_characters_and_all(expected: object, said: str) -> None:
    known = Findings(expected=expected, said=said, parent=("repo", "c" * 40), ended=Ended.PROVEN, spent=1.5)
    text = known.to_json()
    assert text.isascii()
    assert Findings.from_json(text) == known


def test_the_hash_of_an_input_goes_by_the_step_and_what_is_known_and_not_by_the_time() -> None:
    known = Findings(said="x")
    assert input_hash("causes", known) == input_hash("causes", known.model_copy(update={"spent": 9.0}))
    assert input_hash("causes", known) != input_hash("repair", known)
    assert input_hash("causes", known) != input_hash("causes", Findings(said="y"))
